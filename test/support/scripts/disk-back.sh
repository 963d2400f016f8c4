#!/usr/bin/env bash
# Undoes disk-full.sh: moves etcd's data back to the machine's own disk, also while etcd is stopped.
set -euo pipefail
systemctl stop etcd
umount /var/lib/etcd
rm -rf /var/lib/etcd/member
cp -a /var/lib/etcd.small/member /var/lib/etcd/
umount /var/lib/etcd.small
rmdir /var/lib/etcd.small
systemctl start etcd
