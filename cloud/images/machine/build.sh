#!/bin/sh
# Builds the root file system of the machine image: Debian 13 with what Debian's own EC2 images carry, and the tools that
# a Kubernetes node wants. Usage: build.sh TARGET.tar
set -eu
here=$(cd "$(dirname "$0")" && pwd)
packages="systemd systemd-sysv dbus libpam-systemd openssh-server openssh-sftp-server cloud-init sudo curl ca-certificates \
  iptables nftables conntrack ethtool socat kmod iproute2 iputils-ping libnss-myhostname netbase procps util-linux \
  haproxy bind9-dnsutils netcat-openbsd tcpdump jq less vim-tiny bash-completion libfaketime"
exec mmdebstrap --quiet --variant=minbase --include="$packages" \
  --customize-hook="install -D -m 755 '$here/boot.sh' \"\$1\"/usr/lib/kubernetes-from-scratch/boot" \
  --customize-hook="install -D -m 644 '$here/cloud.cfg' \"\$1\"/etc/cloud/cloud.cfg.d/90_local_cloud.cfg" \
  --customize-hook="sh '$here/customize.sh' \"\$1\"" \
  trixie "$1"
