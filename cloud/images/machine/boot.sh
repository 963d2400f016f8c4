#!/bin/sh
# Process 1 of a machine until systemd takes over: turns the container that the engine made into something that a system
# can boot in. Environment: VPC_RESOLVER, VPC_DOMAIN.
set -eu

# The engine hides the image's own files under mounts. A machine owns its names, and may rename files over them.
for file in /etc/resolv.conf /etc/hostname /etc/hosts; do
  umount "$file" 2>/dev/null || true
done
printf 'nameserver %s\nsearch %s\n' "$VPC_RESOLVER" "$VPC_DOMAIN" >/etc/resolv.conf
[ -s /etc/hosts ] || printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >/etc/hosts
[ -s /etc/hostname ] || hostname >/etc/hostname

# Control groups and sysfs writable, as an init system expects. A plain remount is busy on cgroup v1.
for directory in /sys /sys/fs/cgroup /sys/fs/cgroup/*; do
  if mountpoint -q "$directory"; then mount -o remount,bind,rw "$directory"; fi
done
[ -e /dev/kmsg ] || mknod /dev/kmsg c 1 11 # the kubelet refuses to start without it
mount --make-rshared /

# No packet reaches a machine before its security groups are in force: the hypervisor plants them from outside.
until nft list table inet security_groups >/dev/null 2>&1; do sleep 0.02; done

exec env -i container=docker SYSTEMD_PROC_CMDLINE="${SYSTEMD_PROC_CMDLINE:-}" PATH=/usr/sbin:/usr/bin:/sbin:/bin /sbin/init
