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

# snapshot WHAT ADDRESS: saves a snapshot of the healthy member there on this machine. Without one, the step does not go on.
snapshot() {
  local path
  path=$(bash "$LIBRARY/snapshot-etcd.sh" "https://$2:2379") || fail "without a snapshot of etcd, $1 does not take place"
  say "saved $path before $1"
}

# proves_well SECONDS UNIT COMMAND...: the command succeeds within that time. It ends early if the unit is not running or
# keeps crashing. A single attempt may fail on a machine that is well, while another machine restarts or under load.
proves_well() {
  local end=$((SECONDS + $1)) unit=$2 name value state restarts before=""
  shift 2
  until "$@" >/dev/null 2>&1; do
    while IFS='=' read -r name value; do
      case $name in
        ActiveState) state=$value ;;
        NRestarts) restarts=$value ;;
      esac
    done < <(systemctl show --property ActiveState,NRestarts "$unit")
    case $state in active | activating | reloading) ;; *) return 1 ;; esac
    ((SECONDS < end && restarts - ${before:=$restarts} < 3)) || return 1
    pause 0.5
  done
}

# take_turn SECONDS: waits for the lock that lets one control-plane machine restart at a time; fails if it cannot be had
# within that time. It expires 30 s after its holder dies.
take_turn() {
  [ -n "$(other_controllers)" ] || return 0
  local key pipe
  exec {pipe}< <(exec etcdctl --endpoints "$(etcd_endpoints)" --command-timeout "$1s" lock --ttl 30 kubernetes-from-scratch/restart)
  TURN_PROCESS=$!
  read -r -t "$1" -u "$pipe" key || { give_turn; return 1; }
  say "holding $key"
}

# has_turn: the lock is still held. The process that holds it ends when it loses the lock.
has_turn() { [ -z "$(other_controllers)" ] || kill -0 "$TURN_PROCESS" 2>/dev/null; }

give_turn() {
  [ -n "${TURN_PROCESS:-}" ] || return 0
  kill "$TURN_PROCESS" 2>/dev/null || :
  wait "$TURN_PROCESS" 2>/dev/null || :
  TURN_PROCESS=
}

# await_turn: the step fails if it cannot have the lock.
await_turn() {
  take_turn 600 || fail "timed out after 600 s waiting for the restart lock, which another control-plane machine holds"
}

# in_turn UNIT HEALTHY_WITHIN: waits until HEALTHY_WITHIN, called with a number of seconds, finds the other machines healthy,
# takes the turn, and checks again.
in_turn() {
  "$2" 180
  await_turn
  "$2" 120
  has_turn || fail "lost the restart lock before the restart of $1: run this again"
}

# out_of_turn UNIT: a machine that is not well takes nothing from the quorum, and others may be waiting for it. So it takes
# the turn if that is free, and does without if not.
out_of_turn() {
  say "$1 has not been well for 30 s, so it restarts whether or not it has the turn"
  take_turn 20 || say "the restart lock could not be had within 20 s"
}
