"""Keeps moto's state on disk, so that it survives the end of the API process, a crash, a power cut, and a full disk."""

import hashlib
import io
import json
import os
import pathlib
import pickle
import time

from cryptography.hazmat.primitives import serialization
from moto import backends

# The services whose state is kept.
SERVICES = ("ec2", "elbv2", "sts", "kms")


class Damaged(Exception):
    """A file is not what was written to it. The message says in which way."""


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

    For a cloud of six instances it is 0.1 MB and takes 5 ms, so one is taken after every change. A file consists of a line
    of JSON, which says what the last change was and how to recognise a damaged file, and the pickle. The file of the
    change before is kept beside it.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.previous = path.with_suffix(".previous")
        self.change = 0
        # What is in the file, to go back to if a change cannot be saved.
        self.saved = b""

    def load(self) -> str | None:
        """Loads the state as last saved, or else the one before. Returns what was lost, if anything.

        Raises Damaged, with a message for the user, if neither can be read; nothing is changed on disk then.
        """
        reasons = []
        for file in (self.path, self.previous):
            try:
                self.change, self.saved = self.read(file)
                self.restore()
            except FileNotFoundError:
                continue
            except Damaged as damage:
                reasons.append(f"{file} {damage}")
                continue
            return self.set_aside(reasons[0]) if reasons else None
        if reasons:
            raise Damaged(
                f"The state of the EC2 API cannot be read: {'; '.join(reasons)}. The machines and their disks are untouched. "
                "Restore one of these files from a backup and run `make up`, or remove everything and start anew: `make down`."
            )
        self.saved = dump()
        return None

    def set_aside(self, reason: str) -> str:
        """Keeps the damaged file under another name. Says what is lost with it, also to the next command that starts us."""
        kept = self.path.with_suffix(".damaged")
        try:
            header = json.loads(self.path.read_bytes().partition(b"\n")[0])
            lost = f"the change number {header['change']}, {header['action']}, of {header['time']}"
        except (ValueError, TypeError, KeyError):
            lost = f"the change after number {self.change}"
        notice = (
            f"{reason}. The EC2 API goes on without {lost}. The damaged file is kept as {kept}. "
            "To put right what that change was about: `make refresh`, then `make up`."
        )
        with open(self.path.with_suffix(".lost"), "a") as file:
            file.write(notice + "\n")
        self.path.replace(kept)
        return notice

    def read(self, file: pathlib.Path) -> tuple[int, bytes]:
        """Number of the last change in a file, and its pickle."""
        content = file.read_bytes()
        if content.startswith(b"\x80"):  # a bare pickle, as it was written before there were headers
            return 0, content
        line, _, state = content.partition(b"\n")
        try:
            header = json.loads(line)
            change, length, digest = header["change"], header["length"], header["sha256"]
        except (ValueError, TypeError, KeyError):
            raise Damaged("is empty" if not content else "does not begin with a header") from None
        if len(state) != length:
            raise Damaged(f"has {len(state)} bytes of state instead of {length}")
        if hashlib.sha256(state).hexdigest() != digest:
            raise Damaged("does not have the checksum in its header")
        return change, state

    def restore(self) -> None:
        """Makes moto's backends those of the saved state."""
        try:
            # Unpickling is safe here: this program wrote the file, in a directory that only its owner can access.
            services = pickle.loads(self.saved)
        except Exception as error:
            raise Damaged(f"cannot be unpickled ({error})") from error
        for service in SERVICES:
            accounts = backends.get_backend(service)
            for account in list(accounts):
                accounts[account].clear()
            for account, regions in services.get(service, {}).items():
                accounts[account].update(regions)

    def save(self, action: str) -> None:
        """Saves the state after a change. If that fails, takes the change back and raises what went wrong."""
        try:
            state = dump()
            self.write(action, state)
        except Exception:
            self.restore()
            raise
        self.change += 1
        self.saved = state

    def write(self, action: str, state: bytes) -> None:
        header = {
            "change": self.change + 1,
            "action": action,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "length": len(state),
            "sha256": hashlib.sha256(state).hexdigest(),
        }
        new = self.path.with_suffix(".new")
        try:
            with open(new, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(json.dumps(header).encode() + b"\n" + state)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            new.unlink(missing_ok=True)
            raise
        # Between these two, only the previous file exists, and it is what the next process loads.
        if self.path.exists():
            self.path.replace(self.previous)
        new.replace(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def dump() -> bytes:
    """The present state of moto's backends, pickled."""
    services = {
        service: {account: dict(regions.items()) for account, regions in backends.get_backend(service).items()}
        for service in SERVICES
    }
    buffer = io.BytesIO()
    Pickler(buffer, protocol=5).dump(services)
    return buffer.getvalue()
