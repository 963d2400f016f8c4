"""What moto 5.2.1 leaves out of EC2 and ELBv2 and this project needs. Each function mends one thing and says why."""

import datetime
import ipaddress
import json
import os
import subprocess
import time

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend, amis
from moto.ec2.models.instances import Instance
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.models.vpcs import VPCBackend
from moto.elbv2 import models as elbv2

# Reported by the hypervisor: state of load balancer targets by target group ARN, and machines that died.
health: dict = {"targets": {}, "impaired": []}


def apply() -> None:
    instances_read_their_groups_back()
    rules_keep_their_descriptions()
    instances_remember_when_they_were_told_to_boot()
    instances_take_their_interfaces_with_them()
    status_checks_are_the_machines_own()
    images_load_in_every_region()
    vpcs_do_not_overlap_the_host()
    tags_go_with_what_they_are_on()
    load_balancers_have_addresses()
    load_balancers_may_have_no_targets()
    target_health_is_measured()


def instances_read_their_groups_back() -> None:
    """An instance's own group list stays empty when the groups came with its network interface: drift on refresh."""

    def read(self):
        return self.__dict__.get("_groups") or [group for nic in self.__dict__.get("nics", {}).values() for group in nic._group_set]

    Instance.security_groups = property(read, lambda self, groups: self.__dict__.__setitem__("_groups", groups))


def rules_keep_their_descriptions() -> None:
    """The description of a rule that names a group is kept with the group, where moto does not look: drift on refresh."""

    def description(self):
        return self.ip_range.get("Description") or self.source_group.get("Description")

    SecurityGroupRule.description = property(description)


def instances_remember_when_they_were_told_to_boot() -> None:
    """The API shows no trace of a reboot, and a stop that is followed by a start can pass between two looks."""
    create, start, reboot = Instance.__init__, Instance.start, Instance.reboot

    def booted(method):
        def wrapper(self, *args, **kwargs):
            result = method(self, *args, **kwargs)
            self.booted_at = time.time()
            return result

        return wrapper

    Instance.__init__, Instance.start, Instance.reboot = booted(create), booted(start), booted(reboot)
    # State is restored by pickle: a destructor that gives addresses back has no business in a long-lived server.
    del Instance.__del__


def instances_take_their_interfaces_with_them() -> None:
    """EC2 deletes the primary interface, and frees its address, when the instance is terminated; moto keeps both."""
    prepare = Instance.prep_nics

    def prep_nics(self, nic_spec, *args, **kwargs):
        prepare(self, nic_spec, *args, **kwargs)
        if not any("NetworkInterfaceId" in nic for nic in nic_spec):
            self.nics[0].delete_on_termination = True

    Instance.prep_nics = prep_nics


def status_checks_are_the_machines_own() -> None:
    """A machine that died is still "running" in EC2's eyes, and fails its status checks."""
    passed = Instance.instance_status.fget

    def instance_status(self):
        status = passed(self)
        if status["Status"] == "ok" and self.id in health["impaired"]:
            return {"Details": [{"Name": "reachability", "Status": "failed"}], "Status": "impaired"}
        return status

    Instance.instance_status = property(instance_status)


def images_load_in_every_region() -> None:
    """moto parses an image's date in place, and fails on the parsed date in the next region."""
    parse = amis.parse_timestamp
    amis.parse_timestamp = lambda value: value if isinstance(value, datetime.datetime) else parse(value)


def vpcs_do_not_overlap_the_host() -> None:
    """A VPC is a network of this machine: one that overlaps another of its networks must fail at once, and say so."""
    create = VPCBackend.create_vpc
    own_bridges = os.environ.get("BRIDGE_PREFIX", "-")  # a bridge is named after its VPC: prefix and end of the id

    def removed(self, device: str) -> bool:
        """Whether the device is a bridge of this cloud whose VPC is gone: it is about to go as well."""
        if not device.startswith(own_bridges):
            return False
        return not any(vpc.endswith(device.removeprefix(own_bridges)) for vpc in self.vpcs)

    def create_vpc(self, cidr_block, *args, **kwargs):
        if not kwargs.get("is_default"):
            wanted = ipaddress.ip_network(cidr_block, strict=False)
            routes = json.loads(subprocess.run(["ip", "-4", "-json", "route"], capture_output=True, check=True).stdout)
            for route in routes:
                taken = route["dst"]
                if taken != "default" and not removed(self, route.get("dev", "")) and ipaddress.ip_network(taken).overlaps(wanted):
                    message = (
                        f"The CIDR '{cidr_block}' overlaps {taken}, which is a network of the machine that runs the local "
                        f"cloud (interface {route.get('dev')}). Choose another VPC CIDR."
                    )
                    raise EC2ClientError("InvalidVpc.Conflict", message)
        return create(self, cidr_block, *args, **kwargs)

    VPCBackend.create_vpc = create_vpc


def tags_go_with_what_they_are_on() -> None:
    """moto tells the tags of what was deleted for ever; who looks for what is left of a stack would find what is not there."""
    describe = EC2Backend.describe_tags

    def exists(self, resource_id: str) -> bool:
        try:
            return self.do_resources_exist([resource_id])
        except EC2ClientError:
            return False

    def describe_tags(self, *args, **kwargs):
        return [tag for tag in describe(self, *args, **kwargs) if exists(self, tag["resource_id"])]

    EC2Backend.describe_tags = describe_tags


def load_balancers_have_addresses() -> None:
    """moto gives a load balancer no address. Here it has one in each subnet: the mapping's, else the highest free one."""
    create, delete = elbv2.ELBv2Backend.create_load_balancer, elbv2.ELBv2Backend.delete_load_balancer

    def create_load_balancer(self, *args, **kwargs):
        mappings = {mapping["SubnetId"]: mapping for mapping in kwargs.get("subnet_mappings") or []}
        balancer = create(self, *args, **kwargs)
        balancer.state = "active"
        # EC2's form; moto's own is not unique and not what a certificate for *.elb.<region>.amazonaws.com is good for.
        balancer.dns_name = f"{balancer.name}-{balancer.arn.split('/')[-1]}.elb.{self.region_name}.amazonaws.com"
        balancer.addresses = {}
        for subnet in balancer.subnets:
            wanted = mappings.get(subnet.id, {}).get("PrivateIPv4Address")
            balancer.addresses[subnet.id] = wanted or highest_free_address(subnet)
            subnet.request_ip(balancer.addresses[subnet.id], balancer)
        return balancer

    def delete_load_balancer(self, arn):
        balancer = self.load_balancers.get(arn)
        for subnet in balancer.subnets if balancer else []:
            subnet.del_subnet_ip(balancer.addresses[subnet.id])
        return delete(self, arn)

    def availability_zones(self):
        zones = [elbv2.AvailabilityZone(subnet) for subnet in self.subnets]
        for zone in zones:
            # EC2 tells the private address of an internal balancer only.
            shown = self.scheme == "internal" and self.type == "network"
            zone.load_balancer_addresses = [{"PrivateIPv4Address": self.addresses[zone.subnet_id]}] if shown else []
        return zones

    elbv2.ELBv2Backend.create_load_balancer = create_load_balancer
    elbv2.ELBv2Backend.delete_load_balancer = delete_load_balancer
    elbv2.FakeLoadBalancer.availability_zones = property(availability_zones)


def load_balancers_may_have_no_targets() -> None:
    """Asked for the target groups of a balancer that has none yet, moto knows no such group; EC2 answers an empty list."""
    describe = elbv2.ELBv2Backend.describe_target_groups

    def describe_target_groups(self, load_balancer_arn, target_group_arns, names):
        try:
            return describe(self, load_balancer_arn, target_group_arns, names)
        except elbv2.TargetGroupNotFoundError:
            if load_balancer_arn:
                return []
            raise

    elbv2.ELBv2Backend.describe_target_groups = describe_target_groups


def highest_free_address(subnet) -> str:
    addresses = list(ipaddress.ip_network(subnet.cidr_block).hosts())
    return next(str(address) for address in reversed(addresses) if str(address) not in subnet._subnet_ips)


def target_health_is_measured() -> None:
    """moto calls every registered target healthy; here the balancer's own health checks have the word."""
    registered = elbv2.FakeTargetGroup.health_for

    def health_for(self, target, ec2_backend):
        status = registered(self, target, ec2_backend)
        if status.status == "healthy":
            status.status = health["targets"].get(self.arn, {}).get(target["Id"], "initial")
            if status.status == "unhealthy":
                status.reason, status.description = "Target.FailedHealthChecks", "Health checks failed"
            elif status.status == "initial":
                status.reason, status.description = "Elb.InitialHealthChecking", "Initial health checks in progress"
        return status

    elbv2.FakeTargetGroup.health_for = health_for
