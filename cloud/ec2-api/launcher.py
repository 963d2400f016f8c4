"""Serves the EC2, ELBv2 and STS APIs on the loopback address: moto_server as published on PyPI, with three additions.

- patches.py: features that moto lacks, such as those whose absence an infrastructure-as-code tool would see as drift.
- state.py: state that survives the process. The response to a request is sent only once its change is on disk. A change
  that cannot be saved is taken back, and the request fails.
- feed.py: a feed under /hypervisor/, which lets the hypervisor wait for changes instead of polling Describe calls.

Usage: launcher.py PORT STATE_DIRECTORY. MOTO_AMIS_PATH names the file that lists the machine images.
"""

import json
import os
import pathlib
import signal
import sys
import threading
import time
from xml.sax.saxutils import escape

# moto calls no real AWS API, but boto3 insists on credentials and a region.
os.environ.setdefault("AWS_ACCESS_KEY_ID", "local")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "local")
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple

import patches  # importing it patches moto
from feed import Feed
from state import Damaged, Snapshot

# Requests whose action starts with one of these change nothing.
READS = ("Describe", "Get", "List", "Lookup", "Search")


class Cloud:
    """Handles one request at a time: moto's models are not thread-safe, and a snapshot must not hold half a change."""

    def __init__(self, state_directory: pathlib.Path) -> None:
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.lock = threading.Lock()
        self.snapshot = Snapshot(state_directory / "ec2-api.pickle")
        lost = self.snapshot.load()
        if lost:
            log(lost)
        self.feed = Feed(self.lock, self.snapshot.save)

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"].startswith("/hypervisor/"):
            return self.feed(environ, start_response)
        action = self.moto.get_action_from_body(self.moto._get_body(environ)) or environ.get("HTTP_X_AMZ_TARGET", "")
        action = action.split(".")[-1]
        status = []
        with self.lock:
            response = list(self.moto(environ, lambda *args: status.extend(args)))
            if not action.startswith(READS):
                try:
                    self.snapshot.save(action)
                except Exception as error:
                    log(f"{action} was taken back, as it could not be saved: {error}")
                    return self.refuse(environ, start_response, action, error)
                self.feed.changed()
        start_response(*status)
        return response

    def refuse(self, environ, start_response, action: str, error: Exception) -> list[bytes]:
        """The response to a request whose change could not be saved, in the form that its service uses for errors.

        Status 400 keeps clients from repeating the request for minutes: somebody has to do something first.
        """
        code = "StateNotSaved"
        message = (
            f"The local cloud could not save its state, so {action} was not carried out: {error}. "
            f"Free some space there, and repeat the command."
        )
        kind, text = "text/xml", escape(message)
        if environ.get("HTTP_X_AMZ_TARGET"):
            kind, body = "application/x-amz-json-1.1", json.dumps({"__type": code, "message": message})
        elif "/ec2/" in environ.get("HTTP_AUTHORIZATION", ""):
            body = f"<Response><Errors><Error><Code>{code}</Code><Message>{text}</Message></Error></Errors></Response>"
        else:
            body = f"<ErrorResponse><Error><Code>{code}</Code><Message>{text}</Message></Error></ErrorResponse>"
        content = body.encode()
        start_response("400 Bad Request", [("Content-Type", kind), ("Content-Length", str(len(content)))])
        return [content]


def log(line: str) -> None:
    """Writes a line to the log, unless the log is on a disk that is full as well."""
    try:
        print(line, flush=True)
    except OSError:
        pass


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
    try:
        cloud = Cloud(state_directory)
    except Damaged as damage:
        sys.exit(str(damage))
    run_simple("127.0.0.1", port, cloud, threaded=True, request_handler=QuietHandler)


if __name__ == "__main__":
    main()
