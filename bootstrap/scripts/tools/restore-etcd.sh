#!/usr/bin/env bash
# Replaces the data of etcd on this control-plane machine by a snapshot. https://etcd.io/docs/v3.6/op-guide/recovery/
# Usage: sudo restore-etcd.sh SNAPSHOT, on every control-plane machine with the same file, before etcd is started on any.
set -euo pipefail
umask 077
readonly LIBRARY=${BASH_SOURCE[0]%/*} ROOT=${ROOT:-}
# shellcheck source=bootstrap/scripts/lib/etcd-data.sh
. "$LIBRARY/etcd-data.sh"
# NODE_NAME, PRIVATE_IP, CLUSTER_NAME, and CONTROLLERS, lines of "name address"
# shellcheck source=/dev/null
. "$ROOT/etc/kubernetes-from-scratch/etcd-cluster"
readonly SERVICES=(kube-apiserver kube-controller-manager kube-scheduler)

if [ $# != 1 ] || [ ! -f "$1" ]; then
  cat >&2 <<END
usage: sudo restore-etcd.sh SNAPSHOT
Run this on every control-plane machine, with the same file, before starting etcd on any of them. To save a snapshot:
  sudo $LIBRARY/snapshot-etcd.sh
Both from elsewhere: make snapshot, make restore SNAPSHOT=<file>
END
  exit 2
fi
readonly SNAPSHOT=$1

etcdutl snapshot status "$SNAPSHOT" --write-out table
sum=$(sha256sum "$SNAPSHOT")
units=()
for unit in "${SERVICES[@]}"; do [ ! -e "$ROOT/etc/systemd/system/$unit.service" ] || units+=("$unit.service"); done
[ ${#units[@]} = 0 ] || systemctl stop "${units[@]}" || : # API servers end at once as long as etcd responds
systemctl stop etcd.service || :
units+=(etcd.service)
for unit in "${units[@]}"; do
  case $(systemctl is-active "$unit" || :) in
    inactive | failed | unknown) ;;
    *)
      echo "error: $unit has not stopped, so nothing was changed: journalctl -u $unit" >&2
      exit 1
      ;;
  esac
done

# The ids of the cluster and its members follow from the token. With ids of its own, the restored cluster rejects a member
# that was away and still has the former data; otherwise that member could undo the restore.
new=$(mktemp -d "$ETCD_DATA.restored.XXXXXX")
trap 'rm -rf "$new"' EXIT
# the revision is bumped so that watchers, which remember later revisions, notice that history has changed
etcdutl snapshot restore "$SNAPSHOT" --data-dir "$new/etcd" --name "$NODE_NAME" \
  --initial-cluster "$(awk '{ printf "%s%s=https://%s:2380", (NR > 1 ? "," : ""), $1, $2 }' <<<"$CONTROLLERS")" \
  --initial-cluster-token "$CLUSTER_NAME-${sum:0:12}" --initial-advertise-peer-urls "https://$PRIVATE_IP:2380" \
  --bump-revision 1000000000 --mark-compacted
chown -R etcd:etcd "$new/etcd"
chmod 0700 "$new/etcd"
set_aside
mv -T "$new/etcd" "$ETCD_DATA"
echo "restored. When this is done on every control-plane machine, start on each: sudo systemctl start --no-block ${units[*]}"
