# shellcheck shell=bash
# etcd on a control-plane machine. All members start for the first time in parallel; afterwards one restarts at a time.
# Input: NODE_NAME, PRIVATE_IP, ETCD_VERSION, CONTROLLERS (lines of "name address"), RELEASES, MIRROR.

# shellcheck source=bootstrap/scripts/lib/etcd-membership.sh
. "$LIBRARY/etcd-membership.sh"

unpacked etcd --strip-components=1 --wildcards '*/etcd' '*/etcdctl' '*/etcdutl'
for binary in etcd etcdctl etcdutl; do link "$REPLY/$binary" "/usr/local/bin/$binary"; done
[ -d /var/lib/etcd ] || install -d -m 0700 -o etcd -g etcd /var/lib/etcd

readonly FILES=(/usr/local/bin/etcd /etc/etcd/etcd-ca.pem /etc/etcd/etcd.pem /etc/etcd/etcd-key.pem)
blame etcd.service

# restart_in_turn: waits until the others are healthy, takes the lock, checks again, and restarts.
restart_in_turn() {
  local address
  for address in "${others[@]}"; do wait_for 180 "etcd on $address is healthy" etcd_healthy "$address"; done
  take_turn
  for address in "${others[@]}"; do wait_for 60 "etcd on $address is healthy" etcd_healthy "$address"; done
  begin etcd.service
  wait_for 60 "etcd is ready" curl --silent --fail --max-time 3 http://127.0.0.1:2381/readyz
  wait_for 60 "etcd on $PRIVATE_IP is healthy" etcd_healthy "$PRIVATE_IP"
  give_turn
}

BEGIN=
if [ ! -d /var/lib/etcd/member/wal ] && [ "$(systemctl show --property SubState --value etcd.service)" != start ]; then
  systemctl stop etcd.service 2>/dev/null || : # it may be crashing because nothing was decided yet
  decide
  case $BEGIN in
    join) join_cluster ;;
    new) new_cluster ;;
  esac
  silence_announcement
fi

verdict etcd.service "${FILES[@]}"
if [ "$VERDICT" = restart ] && etcd_healthy "$PRIVATE_IP" >/dev/null 2>&1; then
  restart_in_turn
else
  begin etcd.service # an unhealthy member does not count towards the quorum, so it does not have to wait
fi

# a learner may vote once it has caught up
if [ ${#others[@]} != 0 ] && list=$(members) && line=$(own_line "$list") && [ "$(field 6 <<<"$line")" = true ]; then
  wait_for 120 "this machine is promoted to a voting member" others_do member promote "$(field 1 <<<"$line")"
fi
wait_for 120 "etcd has a quorum" curl --silent --fail --max-time 3 http://127.0.0.1:2381/readyz

proof "etcd $ETCD_VERSION on $NODE_NAME has a quorum"
