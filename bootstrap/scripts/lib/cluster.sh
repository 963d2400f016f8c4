# shellcheck shell=bash
# The cluster as seen from one of its machines: which members are healthy, and when this machine may restart.
# Input: NODE_NAME; CONTROLLERS, lines of "name address"; API_NAME.

readonly PKI=/etc/kubernetes/pki

port_open() { (: <"/dev/tcp/$1/$2") 2>/dev/null; }

# api_ready HOST: the API server on that host reports that it is ready.
api_ready() {
  port_open "$1" 6443 && curl --silent --fail --max-time 3 --output /dev/null --cacert "$PKI/kubernetes-ca.pem" "https://$1:6443/readyz"
}

# as_admin: from here on, kubectl acts as the cluster's administrator. The kubeconfig is in memory until the step ends.
as_admin() {
  export KUBECONFIG=$RUNTIME/$STEP/admin.conf
  on_exit "rm -rf $RUNTIME/$STEP"
  wait_for 60 "the API server is ready" api_ready 127.0.0.1
}

# own_node: this machine's Node object as indented JSON, requested with the kubelet's own certificate.
own_node() {
  curl --silent --max-time 4 --cacert "$PKI/kubernetes-ca.pem" --cert "$PKI/kubelet.pem" --key "$PKI/kubelet-key.pem" \
    "https://$API_NAME:6443/api/v1/nodes/$NODE_NAME?pretty=true"
}

export ETCDCTL_CACERT=/etc/etcd/etcd-ca.pem ETCDCTL_CERT=/etc/etcd/etcd.pem ETCDCTL_KEY=/etc/etcd/etcd-key.pem

# etcd_healthy ADDRESS: the member there responds and has a quorum.
etcd_healthy() { port_open "$1" 2379 && etcdctl --endpoints "https://$1:2379" --command-timeout 4s endpoint health; }

# other_controllers: the private addresses of the control-plane machines except this one.
other_controllers() { awk -v self="$NODE_NAME" '$1 != self { print $2 }' <<<"$CONTROLLERS"; }

etcd_endpoints() { awk '{ printf "%shttps://%s:2379", (NR > 1 ? "," : ""), $2 }' <<<"$CONTROLLERS"; }

# take_turn: waits for the lock that lets one control-plane machine restart at a time. It expires 30 s after its holder
# dies.
take_turn() {
  [ -n "$(other_controllers)" ] || return 0
  local key
  coproc TURN { exec etcdctl --endpoints "$(etcd_endpoints)" --command-timeout 600s lock --ttl 30 kubernetes-from-scratch/restart; }
  TURN_PROCESS=$TURN_PID
  read -r -t 600 -u "${TURN[0]}" key || fail "timed out after 600 s waiting for the restart lock, which another control-plane machine holds"
  say "holding $key"
}

give_turn() {
  [ -n "${TURN_PROCESS:-}" ] || return 0
  kill "$TURN_PROCESS" 2>/dev/null || :
  wait "$TURN_PROCESS" 2>/dev/null || :
  TURN_PROCESS=
}
