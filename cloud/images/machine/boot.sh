#!/bin/sh
# Process 1 of a machine until systemd takes over: prepares the container so that a whole system can boot in it.
# Environment: VPC_RESOLVER, VPC_DOMAIN.
set -eu

# The engine mounts its own versions over these files. A machine needs the real ones, which it can replace by renaming.
for file in /etc/resolv.conf /etc/hostname /etc/hosts; do
  umount "$file" 2>/dev/null || true
done
printf 'nameserver %s\nsearch %s\n' "$VPC_RESOLVER" "$VPC_DOMAIN" >/etc/resolv.conf
[ -s /etc/hosts ] || printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >/etc/hosts
[ -s /etc/hostname ] || hostname >/etc/hostname

# An init system expects to be able to write to cgroups and sysfs. On cgroup v1 a plain remount fails with "busy".
for directory in /sys /sys/fs/cgroup /sys/fs/cgroup/*; do
  if mountpoint -q "$directory"; then mount -o remount,bind,rw "$directory"; fi
done
[ -e /dev/kmsg ] || mknod /dev/kmsg c 1 11 # services that read the kernel log refuse to start without it
mount --make-rshared /

# The kernel shows the memory of its host. MemTotal is what this machine may use; the other figures are those of its boot.
limit=$(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || true)
umount /proc/meminfo 2>/dev/null || true
awk -v limit="$limit" '
  /^MemTotal:/ && limit ~ /^[0-9]+$/ && limit / 1024 < $2 { $2 = total = int(limit / 1024) }
  /^(MemFree|MemAvailable):/ && total && $2 > total { $2 = total }
  { printf "%-15s %8s%s\n", $1, $2, $3 == "" ? "" : " " $3 }' /proc/meminfo >/run/meminfo
mount --bind /run/meminfo /proc/meminfo

# The same for processors: as many of the host's as this machine may use at a time.
for file in /proc/cpuinfo /sys/devices/system/cpu/online; do umount "$file" 2>/dev/null || true; done
if [ -e /sys/fs/cgroup/cpu.max ]; then
  read -r quota period </sys/fs/cgroup/cpu.max
else
  quota=$(cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us) period=$(cat /sys/fs/cgroup/cpu/cpu.cfs_period_us)
fi
case $quota in
  max | -*) ;;
  *)
    cpus=$(((quota + period - 1) / period))
    if [ "$cpus" -lt "$(grep -c '^processor' /proc/cpuinfo)" ]; then
      awk -v cpus="$cpus" '/^processor/ && n++ == cpus { exit } { print }' /proc/cpuinfo >/run/cpuinfo
      if [ "$cpus" -gt 1 ]; then echo "0-$((cpus - 1))"; else echo 0; fi >/run/cpus-online
      mount --bind /run/cpuinfo /proc/cpuinfo
      mount --bind /run/cpus-online /sys/devices/system/cpu/online
    fi
    ;;
esac

# No packet may reach a machine before its security groups are in force. The hypervisor loads them from outside.
until nft list table inet security_groups >/dev/null 2>&1; do sleep 0.02; done

exec env -i container=docker SYSTEMD_PROC_CMDLINE="${SYSTEMD_PROC_CMDLINE:-}" PATH=/usr/sbin:/usr/bin:/sbin:/bin /sbin/init
