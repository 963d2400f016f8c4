#!/bin/sh
# Completes the control-group tree of the dev container on hosts that still have cgroup v1. On cgroup v2 it does nothing.
#
# Such a host has a v2 tree beside the v1 ones. Docker hands only the v1 trees to a container, but the systemd of every
# machine keeps its processes in the v2 tree: without a group for each machine, they would all use the dev container's own
# group and remove each other's.
set -eu

tree=/sys/fs/cgroup
[ ! -e "$tree/cgroup.controllers" ] || exit 0 # cgroup v2
mkdir -p "$tree/unified"
! mountpoint -q "$tree/unified" || exit 0

# What this container may use, as Docker does it with the v1 trees: its own group and what is below it.
whole=$(mktemp -d)
mount -t cgroup2 cgroup2 "$whole"
mount --bind "$whole$(sed -n 's/^0:://p' /proc/self/cgroup)" "$tree/unified"
umount "$whole"
rmdir "$whole"
