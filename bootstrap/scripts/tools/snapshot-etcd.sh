#!/usr/bin/env bash
# Saves a verified snapshot of etcd in a directory that only root can read, removes old ones, and prints its path.
# Usage: snapshot-etcd.sh [ENDPOINT]; by default of the member on this machine. A timer runs it, and so does every step that
# is about to change something about etcd.
set -euo pipefail
umask 077
readonly LIBRARY=${BASH_SOURCE[0]%/*} ROOT=${ROOT:-} ENDPOINT=${1:-https://127.0.0.1:2379}
# shellcheck source=bootstrap/scripts/lib/etcd-data.sh
. "$LIBRARY/etcd-data.sh"
export ETCDCTL_CACERT=/etc/etcd/etcd-ca.pem ETCDCTL_CERT=/etc/etcd/etcd.pem ETCDCTL_KEY=/etc/etcd/etcd-key.pem
readonly KEEP=8 DAYS=14 MARGIN=$((1 << 30)) # bytes that stay free

fail() {
  echo "error: no snapshot of etcd at $ENDPOINT: $*" >&2
  exit 1
}
disk() { df --block-size=1 --output="$1" "$SNAPSHOTS" | tail -n 1; }
oldest() { compgen -G "$SNAPSHOTS/etcd-*.db" | sort | head -n 1; }
count() { compgen -G "$SNAPSHOTS/etcd-*.db" | wc -l; }
used() { du --summarize --block-size=1 "$SNAPSHOTS" | cut -f 1; }

install -d -m 0700 "$SNAPSHOTS"
exec {lock}>"$SNAPSHOTS/.lock"
flock "$lock"
rm -f "$SNAPSHOTS"/.partial*

status=$(etcdctl --endpoints "$ENDPOINT" --command-timeout 10s endpoint status --write-out json 2>&1) || fail "${status##*Error: }"
size=$(grep -o '"dbSize":[0-9]*' <<<"$status" | cut -d : -f 2)
# All snapshots together take a tenth of the disk at most. The newest of them stays in any case.
while (($(count) > 1)) && (($(used) + size > $(disk size) / 10 || $(disk avail) < size + MARGIN)); do rm -f "$(oldest)"; done
(($(disk avail) >= size + MARGIN)) \
  || fail "it needs $((size >> 20)) MiB, and 1 GiB must stay free, but $SNAPSHOTS has only $(($(disk avail) >> 20)) MiB left: free some space"

new=$SNAPSHOTS/.partial
output=$(timeout 300 etcdctl --endpoints "$ENDPOINT" snapshot save "$new" 2>&1) || fail "${output##*Error: }"
output=$(etcdutl snapshot status "$new" 2>&1) || fail "it is damaged: ${output##*Error: }"
rm -f "$new.part"
path=$SNAPSHOTS/etcd-$(date -u +%Y%m%dT%H%M%S.%3NZ).db
sync "$new"
mv -T "$new" "$path"

kept "$SNAPSHOTS/etcd-*.db" "$KEEP"
find "$SNAPSHOTS" -name 'etcd-*.db' ! -path "$path" -mtime "+$DAYS" -delete
echo "$path"
