# shellcheck shell=bash
# Surrounds the restart of a machine by whoever restarts it. It runs in their SSH session on another control-plane machine,
# or on the machine itself if there is no other.
#
#   leave   only while the others are healthy: takes the turn, saves a snapshot, drains the node; prints `left` and when the
#           kubelet last reported, and holds the turn until the session ends
#   return  waits until the machine is back and healthy, and lets pods on its node again
#
# Input: PHASE, leave or return; NODE_NAME and PRIVATE_IP of the machine on which this runs; MACHINE, ADDRESS and ROLE of the
# one that restarts; CONTROLLERS, lines of "name address"; REPORTED, what `left` printed; on standard input, the
# administrator's kubeconfig in base64, on one line.
# shellcheck disable=SC2153

exec 2>&1
# shellcheck disable=SC2034 # the library reads it
readonly STEP=restart-$PHASE
# shellcheck source=/dev/null
. "$LIBRARY/library.sh"
trap 'run_on_exit; give_turn' EXIT
trap 'exit 143' HUP TERM
read -r kubeconfig
put "$RUNTIME/$STEP/admin.conf" 0600 root:root < <(base64 --decode <<<"$kubeconfig")
on_exit "rm -rf $RUNTIME/$STEP"

# The stage that the cluster has reached shows in what is installed.
installed() { [ -e "/etc/systemd/system/$1.service" ]; }
kubectl() { command kubectl --server https://127.0.0.1:6443 "$@"; }

# the machine that restarts neither counts nor is asked
OTHERS=$(awk -v machine="$MACHINE" '$1 != machine' <<<"$CONTROLLERS")
others_healthy() {
  local name address
  while read -r name address; do
    [ -n "$name" ] || continue
    wait_for "$1" "etcd on $name is healthy" etcd_healthy "$address"
    ! installed kube-apiserver || wait_for "$1" "the API server on $name is ready" api_ready "$address"
  done <<<"$OTHERS"
}

leave_control_plane() {
  CONTROLLERS=$OTHERS
  in_turn "$MACHINE" others_healthy
  ! etcd_healthy "$PRIVATE_IP" >/dev/null || snapshot "the restart of $MACHINE" "$PRIVATE_IP"
}

# is_back: the kubelet of the machine has reported since it left.
is_back() {
  local now
  now=$(ready "$MACHINE")
  [[ $now == True* && $now != "$REPORTED" ]]
}

case $PHASE in
  leave)
    REPORTED=
    etcd_restarts=no
    [ "$ROLE" != control-plane ] || ! installed etcd || etcd_restarts=yes
    [ $etcd_restarts = no ] || leave_control_plane
    if [ "$ROLE" != balancer ] && installed kube-apiserver; then
      if [ "$NODE_NAME" != "$MACHINE" ]; then
        as_admin
        return_nodes "$MACHINE" # an interrupted run may have left one behind
        leave "$MACHINE"
      fi
      REPORTED=$(ready "$MACHINE")
    fi
    [ $etcd_restarts = no ] || has_turn || fail "lost the restart lock before the restart of $MACHINE: run this again"
    echo "left $REPORTED"
    cat >/dev/null
    ;;
  return)
    if [ "$ROLE" = balancer ]; then
      wait_for 300 "$MACHINE accepts connections" port_open "$ADDRESS" 6443
    elif installed kube-apiserver; then
      wait_for 300 "the API server on $NODE_NAME is ready" api_ready 127.0.0.1
      as_admin
      [ -z "$REPORTED" ] || wait_for 300 "node $MACHINE is Ready" is_back
    fi
    if [ "$ROLE" = control-plane ] && installed etcd; then
      wait_for 180 "etcd on $MACHINE is healthy" etcd_healthy "$ADDRESS"
      ! installed kube-apiserver || wait_for 180 "the API server on $MACHINE is ready" api_ready "$ADDRESS"
    fi
    [ "$ROLE" = balancer ] || ! installed kube-apiserver || return_nodes ''
    ;;
esac
