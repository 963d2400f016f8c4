#!/bin/sh
# Finishes the machine image. Usage: customize.sh ROOT_DIRECTORY
set -eu
root=$1

# A machine's identity is generated at its first boot and never shared with other machines.
rm -f "$root"/etc/ssh/ssh_host_* "$root"/var/lib/dbus/machine-id
: >"$root"/etc/machine-id

# A container has no disks, consoles or devices to set up and no clock of its own. Automatic updates are off.
chroot "$root" systemctl mask --quiet \
  systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service \
  systemd-modules-load.service systemd-remount-fs.service systemd-random-seed.service systemd-firstboot.service \
  systemd-machine-id-commit.service systemd-networkd.service systemd-networkd-wait-online.service systemd-networkd.socket \
  sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount \
  dev-hugepages.mount dev-mqueue.mount systemd-pstore.service \
  console-getty.service getty@.service getty-static.service serial-getty@.service container-getty@.service \
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
  cloud-init-hotplugd.socket
# Installed but not enabled: a machine that acts as a load balancer starts it itself.
chroot "$root" systemctl disable --quiet haproxy.service
chroot "$root" systemctl set-default --quiet multi-user.target

# The same as on Debian's EC2 images.
sed -i 's/^#*PasswordAuthentication .*/PasswordAuthentication no/' "$root"/etc/ssh/sshd_config

rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/cache/debconf/* "$root"/usr/share/doc/* \
  "$root"/usr/share/man/* "$root"/usr/share/locale/* "$root"/var/log/*.log
