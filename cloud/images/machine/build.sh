#!/bin/sh
# Builds the root file system of the machine image: Debian 13 with what Debian's own EC2 images contain, plus common
# tools for networking and debugging. Usage: build.sh TARGET.tar
# Environment: BOOT_PROGRAM, path of boot.sh in the image.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
packages="systemd systemd-sysv dbus libpam-systemd openssh-server openssh-sftp-server cloud-init sudo curl ca-certificates \
  iptables nftables conntrack ethtool socat kmod iproute2 iputils-ping libnss-myhostname netbase procps util-linux \
  haproxy bind9-dnsutils netcat-openbsd tcpdump jq less vim-tiny bash-completion libfaketime"
exec mmdebstrap --quiet --variant=minbase --include="$packages" \
  --customize-hook="install -D -m 755 '$here/boot.sh' \"\$1\"$BOOT_PROGRAM" \
  --customize-hook="install -D -m 644 '$here/cloud.cfg' \"\$1\"/etc/cloud/cloud.cfg.d/90_local_cloud.cfg" \
  --customize-hook="sh '$here/customize.sh' \"\$1\"" \
  trixie "$1"
