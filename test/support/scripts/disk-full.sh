#!/usr/bin/env bash
# Puts etcd's data on a full disk. The data is moved while etcd is stopped, because a member must not lose what it wrote.
set -euo pipefail
systemctl stop etcd
mkdir /var/lib/etcd.small
mount -t tmpfs -o size=$(($(du -sm /var/lib/etcd | cut -f 1) + 4))m,mode=0700 small /var/lib/etcd.small
cp -a /var/lib/etcd/. /var/lib/etcd.small/
cat /dev/zero 2>/dev/null >/var/lib/etcd.small/fill || true
mount --bind /var/lib/etcd.small /var/lib/etcd
systemctl start --no-block etcd
