"""Serves the EC2, ELBv2, IAM, SSM and STS APIs on the loopback address: moto_server as PyPI has it, with three additions.

- What moto leaves out of EC2 and a Terraform or Pulumi refresh would see as drift (mends.py).
- State that survives the process (state.py): no answer is given before the change it reports is on disk.
- A feed for the hypervisor under /hypervisor/ (feed.py): it waits for changes instead of polling a dozen Describe calls.

Usage: launcher.py PORT STATE_DIRECTORY. The machine images come from the file that MOTO_AMIS_PATH names.
"""

import os
import pathlib
import signal
import sys
import threading

# moto talks to nobody, but boto3 wants to be told who it is.
os.environ.setdefault("AWS_ACCESS_KEY_ID", "local")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "local")
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple

import mends
from feed import Feed
from state import Snapshot

# A request whose action starts like this changes nothing.
READS = ("Describe", "Get", "List", "Lookup", "Search")


class Cloud:
    """One request at a time: moto's models are not made for threads, and a snapshot must not see half a change."""

    def __init__(self, state_directory: pathlib.Path) -> None:
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.lock = threading.Lock()
        self.snapshot = Snapshot(state_directory / "ec2-api.pickle")
        self.snapshot.load()
        self.feed = Feed(self.lock, self.snapshot.save)

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"].startswith("/hypervisor/"):
            return self.feed(environ, start_response)
        action = self.moto.get_action_from_body(self.moto._get_body(environ)) or environ.get("HTTP_X_AMZ_TARGET", "")
        with self.lock:
            response = list(self.moto(environ, start_response))
            if not action.split(".")[-1].startswith(READS):
                self.snapshot.save()
                self.feed.changed()
        return response


class QuietHandler(WSGIRequestHandler):
    """Keeps connections open (HTTP/1.1) and logs failures only."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code="-", size="-"):
        if str(code).startswith("5"):
            super().log_request(code, size)


def main() -> None:
    port, state_directory = int(sys.argv[1]), pathlib.Path(sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # every change is on disk already
    mends.apply()
    run_simple("127.0.0.1", port, Cloud(state_directory), threaded=True, request_handler=QuietHandler)


if __name__ == "__main__":
    main()
