"""What the hypervisor needs beyond the AWS API: notice of changes, and a way to report the true state of machines.

GET  /hypervisor/changes?after=N  returns once the API's generation exceeds N, or after a few seconds in any case:
     {"process": 4711, "generation": 17, "regions": ["ap-southeast-1"], "boots": {"i-0abc…": 1764000000.1},
     "addresses": {"arn:…:loadbalancer/…": {"subnet-0abc…": "10.0.1.10"}}}. "boots" is when an instance was last asked
     to run, start or reboot, in seconds since 1970; "addresses" are those of the load balancers.
POST /hypervisor/health           {"targets": {"<target group ARN>": {"i-0abc…": "healthy"}}, "impaired": ["i-0abc…"]}
     sets what DescribeTargetHealth and DescribeInstanceStatus return.
POST /hypervisor/stopped          {"id": "i-0abc…", "boot": 1764000000.1}
     the machine shut itself down after that boot: stops the instance, unless it was asked to boot again since.
POST /hypervisor/lost             {"id": "i-0abc…"}
     the machine does not exist any more: terminates the instance.
"""

import json
import os
import threading
from collections.abc import Callable
from urllib.parse import parse_qs

from moto.backends import get_backend

import patches

WAIT_SECONDS = 5


class Feed:
    """The WSGI application for /hypervisor/."""

    def __init__(self, lock: threading.Lock, save: Callable[[str], None]) -> None:
        self.condition = threading.Condition(lock)
        self.save = save
        self.generation = 1

    def changed(self) -> None:
        """To be called after a change, with the lock held."""
        self.generation += 1
        self.condition.notify_all()

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/hypervisor/changes":
            after = int(parse_qs(environ.get("QUERY_STRING", "")).get("after", ["0"])[0])
            response = self.changes(after)
        elif environ["PATH_INFO"] == "/hypervisor/health":
            report = read_json(environ)
            with self.condition:
                patches.health.update(report)
            response = {}
        elif environ["PATH_INFO"] == "/hypervisor/stopped":
            report = read_json(environ)
            response = {"stopped": self.stopped(report["id"], report["boot"])}
        elif environ["PATH_INFO"] == "/hypervisor/lost":
            response = {"terminated": self.lost(read_json(environ)["id"])}
        else:
            start_response("404 Not Found", [("Content-Length", "0")])
            return [b""]
        text = json.dumps(response).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
        return [text]

    def changes(self, after: int) -> dict:
        with self.condition:
            # A generation in the future comes from an earlier API process: the caller has to read everything again.
            self.condition.wait_for(lambda: self.generation > after or after > self.generation, WAIT_SECONDS)
            return {
                "process": os.getpid(),
                "generation": self.generation,
                "regions": [
                    region
                    for region, backend in ec2_backends()
                    if backend.reservations or any(not vpc.is_default for vpc in backend.vpcs.values())
                ],
                "boots": {instance.id: instance.booted_at for instance in instances() if hasattr(instance, "booted_at")},
                "addresses": {
                    arn: balancer.addresses
                    for regions in get_backend("elbv2").values()
                    for backend in regions.values()
                    for arn, balancer in backend.load_balancers.items()
                },
            }

    def stopped(self, instance_id: str, boot: float) -> bool:
        """Checks and stops under one lock, so that a start requested after the hypervisor looked is not undone."""
        with self.condition:
            for instance in instances():
                if instance.id != instance_id or not instance.is_running():
                    continue
                if getattr(instance, "booted_at", 0) < boot + 0.001:  # the hypervisor's times have milliseconds
                    instance.stop()
                    self.save("StopInstances")
                    self.changed()
                    return True
            return False

    def lost(self, instance_id: str) -> bool:
        with self.condition:
            for instance in instances():
                if instance.id != instance_id or instance.state == "terminated":
                    continue
                instance.terminate()
                self.save("TerminateInstances")
                self.changed()
                return True
            return False


def read_json(environ) -> dict:
    return json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))


def ec2_backends() -> list:
    return [pair for regions in get_backend("ec2").values() for pair in regions.items()]


def instances() -> list:
    return [instance for _, backend in ec2_backends() for instance in backend.all_instances()]
