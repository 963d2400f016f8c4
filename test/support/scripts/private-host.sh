#!/bin/bash
# Runs a command on a host of its own, as far as networks, firewalls, /etc and /run go: private-host.sh DIRECTORY COMMAND...
# Everything that the command starts ends with it. Its interface "uplink" leads to a network namespace "outside" (198.51.100.1), and nothing else can be reached.
set -euo pipefail
if [ "${PRIVATE_HOST:-}" != yes ]; then
  PRIVATE_HOST=yes exec unshare --net --mount --propagation private --pid --fork --kill-child --mount-proc -- bash "$0" "$@"
fi
directory=$1
shift
mkdir -p "$directory/etc" "$directory/state" /var/lib/kubernetes-from-scratch
cp -a /etc/. "$directory/etc"
# in this mount namespace only: what a container engine has mounted there would still be listed
awk '$2 ~ "^/(run|var/lib)/kubernetes-from-scratch/" { print $2 }' /proc/self/mounts | tac | xargs --no-run-if-empty umount 2>/dev/null || : # some may have gone since
rm -f "$directory/etc/resolv.conf"
echo '# no resolver can be reached' >"$directory/etc/resolv.conf"
mount --bind "$directory/etc" /etc
mount --bind "$directory/state" /var/lib/kubernetes-from-scratch
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/lock
sysctl --quiet --write net.ipv4.ip_forward=0 net.ipv6.conf.default.accept_dad=0
ip link set lo up
ip netns add outside
ip link add uplink type veth peer name eth0 netns outside
ip address add 198.51.100.2/24 dev uplink
ip link set uplink up
ip route add default via 198.51.100.1
ip -n outside address add 198.51.100.1/24 dev eth0
ip -n outside link set eth0 up
ip -n outside route add default via 198.51.100.2
"$@" # not by exec: process 1 has to collect the processes that have ended
