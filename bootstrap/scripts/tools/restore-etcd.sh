#!/usr/bin/env bash
# Recovery after a majority of the etcd members has lost its data: recreates the cluster from a snapshot.
# https://etcd.io/docs/v3.6/op-guide/recovery/
set -euo pipefail
umask 077
[ $# = 5 ] || {
  cat >&2 <<'END'
usage: sudo restore-etcd.sh SNAPSHOT NODE_NAME PRIVATE_IP CLUSTER_NAME controller-0=10.0.1.11,controller-1=10.0.1.12,...
Run this on every control-plane machine, with the same snapshot file, before starting etcd on any of them. Then, on each:
  sudo systemctl start etcd kube-apiserver kube-controller-manager kube-scheduler
To create a snapshot:
  sudo etcdctl --endpoints https://127.0.0.1:2379 --cacert /etc/etcd/etcd-ca.pem --cert /etc/etcd/etcd.pem \
    --key /etc/etcd/etcd-key.pem snapshot save FILE
END
  exit 2
}
readonly SNAPSHOT=$1 NODE_NAME=$2 PRIVATE_IP=$3 CLUSTER_NAME=$4 MEMBERS=$5

etcdutl snapshot status "$SNAPSHOT" --write-out table
systemctl stop kube-apiserver kube-controller-manager kube-scheduler etcd || :
cluster=
IFS=, read -ra members <<<"$MEMBERS"
for member in "${members[@]}"; do cluster+=${cluster:+,}${member%%=*}=https://${member#*=}:2380; done

new=$(mktemp -d /var/lib/etcd.restored.XXXXXX)
# the revision is bumped so that watchers, which remember later revisions, notice that history has changed
etcdutl snapshot restore "$SNAPSHOT" --data-dir "$new/etcd" --name "$NODE_NAME" --initial-cluster "$cluster" \
  --initial-cluster-token "$CLUSTER_NAME" --initial-advertise-peer-urls "https://$PRIVATE_IP:2380" \
  --bump-revision 1000000000 --mark-compacted
chown -R etcd:etcd "$new/etcd"
if [ -d /var/lib/etcd ]; then mv -T /var/lib/etcd "/var/lib/etcd.before-$(date +%Y%m%dT%H%M%S)"; fi
mv -T "$new/etcd" /var/lib/etcd
chmod 0700 /var/lib/etcd
rmdir "$new"
echo "restored; start etcd on every machine: systemctl start etcd kube-apiserver kube-controller-manager kube-scheduler"
