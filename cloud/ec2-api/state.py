"""Keeps moto's state on disk, so that it survives the end of the API process, a crash, and a reboot of the host."""

import os
import pathlib
import pickle

from cryptography.hazmat.primitives import serialization
from moto import backends

# The services whose state is kept.
SERVICES = ("ec2", "elbv2", "sts", "kms")


def private_key(der: bytes):
    return serialization.load_der_private_key(der, None)


class Pickler(pickle.Pickler):
    """Also pickles the private keys of KMS (encrypting a volume creates one), which pickle cannot handle by itself."""

    def reducer_override(self, thing):
        if not hasattr(thing, "private_bytes"):
            return NotImplemented
        form = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return private_key, (thing.private_bytes(*form),)


class Snapshot:
    """All backends of all accounts and regions, in one pickle so that references between services are kept.

    For a cloud of six instances it is 0.1 MB and takes 5 ms, so one is taken after every change.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def load(self) -> None:
        if not self.path.exists():
            return
        # Unpickling is safe here: this program wrote the file, in a directory that only its owner can access.
        services = pickle.loads(self.path.read_bytes())
        for service, accounts in services.items():
            for account, regions in accounts.items():
                for region, backend in regions.items():
                    backends.get_backend(service)[account][region] = backend

    def save(self) -> None:
        services = {
            service: {account: dict(regions.items()) for account, regions in backends.get_backend(service).items()}
            for service in SERVICES
        }
        temporary = self.path.with_suffix(".new")
        with open(temporary, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            Pickler(file, protocol=5).dump(services)
        temporary.replace(self.path)
