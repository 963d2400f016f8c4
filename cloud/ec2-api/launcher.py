"""Serves the EC2, ELBv2 and STS APIs on the loopback address: moto_server as published on PyPI, with three additions.

- patches.py: features that moto lacks, such as those whose absence an infrastructure-as-code tool would see as drift.
- state.py: state that survives the process. The response to a request is sent only once its change is on disk.
- feed.py: a feed under /hypervisor/, which lets the hypervisor wait for changes instead of polling Describe calls.

Usage: launcher.py PORT STATE_DIRECTORY. MOTO_AMIS_PATH names the file that lists the machine images.
"""

import os
import pathlib
import signal
import sys
import threading
import time

# moto calls no real AWS API, but boto3 insists on credentials and a region.
os.environ.setdefault("AWS_ACCESS_KEY_ID", "local")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "local")
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple

import patches  # importing it patches moto
from feed import Feed
from state import Snapshot

# Requests whose action starts with one of these change nothing.
READS = ("Describe", "Get", "List", "Lookup", "Search")


class Cloud:
    """Handles one request at a time: moto's models are not thread-safe, and a snapshot must not hold half a change."""

    def __init__(self, state_directory: pathlib.Path) -> None:
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.lock = threading.Lock()
        self.snapshot = Snapshot(state_directory / "ec2-api.pickle")
        self.snapshot.load()
        self.feed = Feed(self.lock)

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
    """Keeps connections open (HTTP/1.1) and logs server errors only."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code="-", size="-"):
        if str(code).startswith("5"):
            super().log_request(code, size)


def end_with(state_directory: pathlib.Path) -> None:
    """Ends the process when its directory is gone: the checkout was moved or deleted, and no change could be kept."""
    while state_directory.exists():
        time.sleep(0.5)
    print(f"{state_directory} is gone: exiting", flush=True)
    os._exit(0)


def main() -> None:
    port, state_directory = int(sys.argv[1]), pathlib.Path(sys.argv[2])
    threading.Thread(target=end_with, args=(state_directory,), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # every change is already on disk
    run_simple("127.0.0.1", port, Cloud(state_directory), threaded=True, request_handler=QuietHandler)


if __name__ == "__main__":
    main()
