"""Adds what this cloud needs and moto 5.2.1 lacks in EC2 and ELBv2. Each patch fixes one thing and says why."""

import copy
import functools
import ipaddress
import json
import os
import subprocess
import sys
import time

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend, amis
from moto.ec2.models.instances import Instance
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.models.vpcs import VPCBackend
from moto.elbv2 import models as elbv2

# Reported by the hypervisor: states of load balancer targets by target group ARN, and instances whose machine is down.
health: dict = {"targets": {}, "impaired": []}


def patch(target):
    """Replaces a method or property of moto with the decorated function, which gets the original as its first argument.

    As the target is named `Class.method`, the import fails if moto no longer has it.
    """
    original = target.fget if isinstance(target, property) else target
    *path, name = original.__qualname__.split(".")
    owner = functools.reduce(getattr, path, sys.modules[original.__module__])

    def decorate(replacement):
        @functools.wraps(original)
        def patched(*args, **kwargs):
            return replacement(original, *args, **kwargs)

        setattr(owner, name, property(patched) if isinstance(target, property) else patched)
        return replacement

    return decorate


def groups_of_instance(self):
    """An instance's own list of groups stays empty if its network interface has the groups: drift on refresh."""
    interfaces = self.__dict__.get("nics", {}).values()
    return self.__dict__.get("_groups") or [group for nic in interfaces for group in nic._group_set]


def set_groups_of_instance(self, groups):
    self._groups = groups


# Not a case for @patch: in moto this is a plain attribute, set by the constructor.
if "security_groups" not in Instance.__init__.__code__.co_names:
    raise AttributeError("moto's Instance has no attribute security_groups")
Instance.security_groups = property(groups_of_instance, set_groups_of_instance)


@patch(SecurityGroupRule.description)
def description_of_rule(original, self):
    """If a rule names a group, moto keeps its description there but does not read it from there: drift on refresh."""
    return original(self) or self.source_group.get("Description")


for booting in (Instance.__init__, Instance.start, Instance.reboot):

    @patch(booting)
    def remember_boot(original, self, *args, **kwargs):
        """The API shows no trace of a reboot, and a stop followed by a start may go unseen between two polls."""
        result = original(self, *args, **kwargs)
        self.booted_at = time.time()
        return result


# moto releases an instance's addresses when the object is destroyed. Objects restored from a pickle must not do that.
del Instance.__del__


@patch(Instance.prep_nics)
def delete_interface_with_instance(original, self, nic_spec, *args, **kwargs):
    """EC2 deletes the primary interface, and frees its address, when the instance is terminated; moto keeps both."""
    original(self, nic_spec, *args, **kwargs)
    if not any("NetworkInterfaceId" in nic for nic in nic_spec):
        self.nics[0].delete_on_termination = True


@patch(Instance.instance_status)
def status_of_machine(original, self):
    """To EC2, a machine that has died is still "running", but it fails its status checks."""
    status = original(self)
    if status["Status"] == "ok" and self.id in health["impaired"]:
        return {"Details": [{"Name": "reachability", "Status": "failed"}], "Status": "impaired"}
    return status


@patch(amis.AmiBackend._load_amis)
def load_images_in_every_region(original, self):
    """moto parses the dates in its list of images in place, and cannot parse them again for the next region."""
    unparsed = copy.deepcopy(amis.AMIS)
    original(self)
    amis.AMIS = unparsed


# A bridge is named after its VPC: this prefix, then the end of the VPC's id.
OWN_BRIDGES = os.environ.get("BRIDGE_PREFIX", "-")


def is_leftover(self, device: str) -> bool:
    """Whether the device is a bridge of this cloud whose VPC is gone, which means that it will be removed too."""
    if not device.startswith(OWN_BRIDGES):
        return False
    return not any(vpc.endswith(device.removeprefix(OWN_BRIDGES)) for vpc in self.vpcs)


@patch(VPCBackend.create_vpc)
def refuse_overlap(original, self, cidr_block, *args, **kwargs):
    """A VPC is a network of this host. If it overlaps another one, creating it must fail at once, with the reason."""
    if not kwargs.get("is_default"):
        wanted = ipaddress.ip_network(cidr_block, strict=False)
        routes = json.loads(subprocess.run(["ip", "-4", "-json", "route"], capture_output=True, check=True).stdout)
        for route in routes:
            taken, device = route["dst"], route.get("dev", "")
            if taken != "default" and not is_leftover(self, device) and ipaddress.ip_network(taken).overlaps(wanted):
                message = (
                    f"The CIDR '{cidr_block}' overlaps {taken}, which is a network of the machine that runs the local "
                    f"cloud (interface {device}). Choose another VPC CIDR."
                )
                raise EC2ClientError("InvalidVpc.Conflict", message)
    return original(self, cidr_block, *args, **kwargs)


def ids_of(self, resource_id: str):
    """The ids of all resources of that one's kind, for the kinds of which moto says that they always exist."""
    kinds = {
        "key": lambda: [pair.id for pair in self.key_pairs.values()],
        "sgr": lambda: [rule.id for rule in self.describe_security_group_rules([], {})],
        "eni": lambda: self.enis,
        "eipalloc": lambda: [address.id for address in self.addresses],
    }
    return kinds.get(resource_id.partition("-")[0], lambda: None)()


def exists(self, resource_id: str) -> bool:
    ids = ids_of(self, resource_id)
    if ids is not None:
        return resource_id in ids
    try:
        return self.do_resources_exist([resource_id])
    except EC2ClientError:
        return False


@patch(EC2Backend.describe_tags)
def tags_of_existing_resources(original, self, *args, **kwargs):
    """moto keeps returning the tags of deleted resources, so a search for leftovers would find ghosts."""
    return [tag for tag in original(self, *args, **kwargs) if exists(self, tag["resource_id"])]


def highest_free_address(subnet) -> str:
    addresses = list(ipaddress.ip_network(subnet.cidr_block).hosts())
    return next(str(address) for address in reversed(addresses) if str(address) not in subnet._subnet_ips)


@patch(elbv2.ELBv2Backend.create_load_balancer)
def create_with_addresses(original, self, *args, **kwargs):
    """moto gives load balancers no addresses. Here they have one per subnet: the mapping's, or the highest free one."""
    mappings = {mapping["SubnetId"]: mapping for mapping in kwargs.get("subnet_mappings") or []}
    balancer = original(self, *args, **kwargs)
    balancer.state = "active"
    # EC2's form. moto's own is not unique, and a certificate for *.elb.<region>.amazonaws.com does not cover it.
    balancer.dns_name = f"{balancer.name}-{balancer.arn.split('/')[-1]}.elb.{self.region_name}.amazonaws.com"
    balancer.addresses = {}
    for subnet in balancer.subnets:
        wanted = mappings.get(subnet.id, {}).get("PrivateIPv4Address")
        balancer.addresses[subnet.id] = wanted or highest_free_address(subnet)
        subnet.request_ip(balancer.addresses[subnet.id], balancer)
    return balancer


@patch(elbv2.ELBv2Backend.delete_load_balancer)
def free_addresses(original, self, arn):
    """The counterpart of create_with_addresses."""
    balancer = self.load_balancers.get(arn)
    for subnet in balancer.subnets if balancer else []:
        subnet.del_subnet_ip(balancer.addresses[subnet.id])
    return original(self, arn)


@patch(elbv2.FakeLoadBalancer.availability_zones)
def zones_with_addresses(original, self):
    """EC2 shows the private addresses of internal load balancers only."""
    zones = original(self)
    for zone in zones:
        shown = self.scheme == "internal" and self.type == "network"
        zone.load_balancer_addresses = [{"PrivateIPv4Address": self.addresses[zone.subnet_id]}] if shown else []
    return zones


@patch(elbv2.ELBv2Backend.describe_target_groups)
def target_groups_if_any(original, self, load_balancer_arn, target_group_arns, names):
    """For a load balancer without target groups moto raises an error; EC2 returns an empty list."""
    try:
        return original(self, load_balancer_arn, target_group_arns, names)
    except elbv2.TargetGroupNotFoundError:
        if load_balancer_arn:
            return []
        raise


@patch(elbv2.FakeTargetGroup.health_for)
def measured_health(original, self, target, ec2_backend):
    """moto calls every registered target healthy; here the load balancer's own health checks decide."""
    status = original(self, target, ec2_backend)
    if status.status == "healthy":
        status.status = health["targets"].get(self.arn, {}).get(target["Id"], "initial")
        if status.status == "unhealthy":
            status.reason, status.description = "Target.FailedHealthChecks", "Health checks failed"
        elif status.status == "initial":
            status.reason, status.description = "Elb.InitialHealthChecking", "Initial health checks in progress"
    return status
