#!/usr/bin/env bash
# Writes 80 MB to etcd, more than it has preallocated in its log and its database, and deletes them.
# Arguments: the command line of etcdctl.
set -euo pipefail
head -c 750000 /dev/urandom | base64 -w 0 >/run/big
for n in $(seq 80); do "$@" put "drill/big-$n" </run/big >/dev/null; done
"$@" del --prefix drill/ >/dev/null
rm /run/big
