# shellcheck shell=bash
# The cluster as one of its machines sees it: who is well, and whose turn it is to restart.

readonly PKI=/etc/kubernetes/pki

port_open() { (: <"/dev/tcp/$1/$2") 2>/dev/null; }

# api_ready HOST: the API server there says that it is ready.
api_ready() {
  port_open "$1" 6443 && curl --silent --fail --max-time 3 --output /dev/null --cacert "$PKI/kubernetes-ca.pem" "https://$1:6443/readyz"
}

export ETCDCTL_CACERT=/etc/etcd/etcd-ca.pem ETCDCTL_CERT=/etc/etcd/etcd.pem ETCDCTL_KEY=/etc/etcd/etcd-key.pem

# etcd_healthy ADDRESS: the member there answers and sees a quorum.
etcd_healthy() { port_open "$1" 2379 && etcdctl --endpoints "https://$1:2379" --command-timeout 4s endpoint health; }

# other_controllers: the private addresses of CONTROLLERS (lines of "name address") except this machine's own.
other_controllers() { awk -v self="$NODE_NAME" '$1 != self { print $2 }' <<<"$CONTROLLERS"; }

etcd_endpoints() { awk '{ printf "%shttps://%s:2379", (NR > 1 ? "," : ""), $2 }' <<<"$CONTROLLERS"; }

# take_turn: one control-plane machine restarts at a time. The lock's lease runs out 30 s after its holder died.
take_turn() {
  [ -n "$(other_controllers)" ] || return 0
  local key
  coproc TURN { exec etcdctl --endpoints "$(etcd_endpoints)" --command-timeout 600s lock --ttl 30 kubernetes-from-scratch/restart; }
  TURN_PROCESS=$TURN_PID
  read -r -t 600 -u "${TURN[0]}" key || fail "no turn to restart within 600 s: another control-plane machine holds the lock"
  say "holding $key"
}

give_turn() {
  [ -n "${TURN_PROCESS:-}" ] || return 0
  kill "$TURN_PROCESS" 2>/dev/null || :
  wait "$TURN_PROCESS" 2>/dev/null || :
  TURN_PROCESS=
}
