# shellcheck shell=bash
# etcd on a control-plane machine. All members start for the first time in parallel; afterwards one restarts at a time.
# Input: NODE_NAME, PRIVATE_IP, CLUSTER_NAME, ETCD_VERSION, CONTROLLERS (lines of "name address"), RELEASES, MIRROR.

# shellcheck source=bootstrap/scripts/lib/etcd-data.sh
. "$LIBRARY/etcd-data.sh"
# shellcheck source=bootstrap/scripts/lib/etcd-membership.sh
. "$LIBRARY/etcd-membership.sh"

unpacked etcd --strip-components=1 --wildcards '*/etcd' '*/etcdctl' '*/etcdutl'
for binary in etcd etcdctl etcdutl; do link "$REPLY/$binary" "/usr/local/bin/$binary"; done
[ -d "$ETCD_DATA" ] || install -d -m 0700 -o etcd -g etcd "$ETCD_DATA"

readonly FILES=(/usr/local/bin/etcd /etc/etcd/etcd-ca.pem /etc/etcd/etcd.pem /etc/etcd/etcd-key.pem)
blame etcd.service

has_quorum() { curl --silent --show-error --fail --max-time 3 http://127.0.0.1:2381/readyz; }
others_healthy() {
  local address
  for address in "${others[@]}"; do wait_for "$1" "etcd on $address is healthy" etcd_healthy "$address"; done
}
restart_in_turn() {
  in_turn etcd.service others_healthy
  snapshot "the restart of etcd" "$PRIVATE_IP"
  begin etcd.service
  wait_for 60 "etcd is ready" has_quorum
  wait_for 60 "etcd on $PRIVATE_IP is healthy" etcd_healthy "$PRIVATE_IP"
  give_turn
}

# first_start: this machine has no data.
first_start() {
  systemctl stop etcd.service 2>/dev/null || : # it may be crashing because nothing was decided yet
  BEGIN=
  decide
  case $BEGIN in
    join) join_cluster ;;
    new) new_cluster ;;
  esac
  silence_announcement
  converge etcd.service "${FILES[@]}"
}

# well_or_stale: this member is healthy, or never will be, because its data belongs to another cluster than the others'.
well_or_stale() {
  ! etcd_healthy "$PRIVATE_IP" || return 0
  is_stale >"$RUNTIME/$STEP.stale" && STALE=yes
}
STALE=no

# An API server gives an empty cluster its namespaces and roles only when it starts. Until then it would serve the nodes
# from memory. So before this machine says that it is empty, it has none; a new cluster is formed when all have said so.
control_plane=()
if [ -e "$LOSE_DATA" ]; then
  for unit in kube-apiserver kube-controller-manager kube-scheduler; do
    [ ! -e "/etc/systemd/system/$unit.service" ] || control_plane+=("$unit.service")
  done
  [ ${#control_plane[@]} = 0 ] || systemctl stop "${control_plane[@]}"
fi

if [ ! -d "$ETCD_DATA/member/wal" ] && [ "$(systemctl show --property SubState --value etcd.service)" != start ]; then
  first_start
else
  verdict etcd.service "${FILES[@]}"
  [ "$VERDICT" != start ] || converge etcd.service "${FILES[@]}" # it does not run, so nothing is taken from the quorum
  well=no
  ! proves_well 30 etcd.service well_or_stale || well=yes
  if [ "$STALE" = yes ]; then
    cat "$RUNTIME/$STEP.stale"
    systemctl stop etcd.service
    say "$(set_aside)"
    install -d -m 0700 -o etcd -g etcd "$ETCD_DATA"
    first_start
  elif [ "$VERDICT" = restart ]; then
    if [ "$well" = yes ]; then
      restart_in_turn
    else
      out_of_turn etcd.service
      begin etcd.service
    fi
  fi
fi

# a learner may vote once it has caught up
if [ ${#others[@]} != 0 ] && list=$(members) && line=$(own_line "$list") && [ "$(field 6 <<<"$line")" = true ]; then
  wait_for 120 "this machine is promoted to a voting member" others_do member promote "$(field 1 <<<"$line")"
fi
advise how_to_restore
wait_for 120 "etcd has a quorum" has_quorum
advise
give_turn
touch "$HAD_DATA"
rm -f "$LOSE_DATA"
[ ${#control_plane[@]} = 0 ] || systemctl start --no-block "${control_plane[@]}"
converge etcd-snapshot.timer

proof "etcd $ETCD_VERSION on $NODE_NAME has a quorum"
