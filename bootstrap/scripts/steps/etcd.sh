# shellcheck shell=bash
# etcd on a control-plane machine. The first boot of all members is parallel; afterwards one machine restarts at a time.

unpacked etcd --strip-components=1 --wildcards '*/etcd' '*/etcdctl' '*/etcdutl'
for binary in etcd etcdctl etcdutl; do link "$REPLY/$binary" "/usr/local/bin/$binary"; done
[ -d /var/lib/etcd ] || install -d -m 0700 -o etcd -g etcd /var/lib/etcd

readonly PEER_URL=https://$PRIVATE_IP:2380
readonly FILES=(/usr/local/bin/etcd /etc/etcd/etcd-ca.pem /etc/etcd/etcd.pem /etc/etcd/etcd-key.pem)
blame etcd.service
mapfile -t others < <(other_controllers)

# others_do COMMAND...: etcdctl against the other machines of the control plane
others_do() { etcdctl --endpoints "$(printf 'https://%s:2379,' "${others[@]}" | sed 's/,$//')" --dial-timeout 1s --command-timeout 4s "$@"; }

# members: what a quorum of the other machines says; lines of "id, started|unstarted, name, peer URL, client URL, learner"
members() {
  local address
  for address in "${others[@]}"; do port_open "$address" 2379 && { others_do member list 2>/dev/null; return; }; done
  return 1
}
own_line() { grep -F ", $PEER_URL, " <<<"$1" || :; }
field() { awk -F ', *' -v n="$1" '{ print $n }'; }

# initial_cluster STATE CLUSTER: what etcd reads when its data directory is empty
initial_cluster() {
  printf 'ETCD_INITIAL_CLUSTER_STATE=%s\nETCD_INITIAL_CLUSTER=%s\n' "$1" "$2" | put /etc/etcd/initial-cluster.env 0644 root:root
}

# join: this machine becomes a learner of the living cluster. Only one may learn at a time: the others wait.
join_cluster() {
  local list
  add() { others_do member add "$NODE_NAME" --learner --peer-urls "$PEER_URL"; }
  wait_for 120 "added to the cluster as a learner" add
  list=$(members)
  initial_cluster existing "$(awk -F ', *' -v url="$PEER_URL" -v self="$NODE_NAME" \
    '{ name = $4 == url ? self : $3 } name != "" { printf "%s%s=%s", (n++ ? "," : ""), name, $4 }' <<<"$list")"
}

# announce_empty: tells the other machines, on the peer port and only to holders of a peer certificate, that there is
# no data here. It is the one proof on which a new cluster is formed: silence is none.
announce_empty() {
  [ ${#others[@]} != 0 ] || return 0
  silence_announcement
  on_exit silence_announcement
  systemd-run --quiet --collect --unit etcd-empty --property RuntimeMaxSec=600 \
    -- python3 /usr/local/lib/kubernetes-from-scratch/announce-empty.py "$PRIVATE_IP"
}
silence_announcement() { systemctl stop etcd-empty.service 2>/dev/null || :; }

# ask ADDRESS: what the machine there says of etcd: "empty", etcd's own member list as JSON, or nothing
ask() {
  port_open "$1" 2380 || return 0
  curl --silent --max-time 2 --http1.1 --cacert /etc/etcd/etcd-ca.pem --cert /etc/etcd/etcd.pem --key /etc/etcd/etcd-key.pem \
    "https://$1:2380/members" || :
}

# agree: how this empty machine begins. new: every other machine has said that it is empty too, or forms this very
# cluster and waits for us. Anything else joins what lives, or fails: nothing is formed beside data that exists.
agree() {
  local end=$((SECONDS + 180)) list line address answer empty seen refused=0
  announce_empty
  while true; do
    if list=$(members); then
      line=$(own_line "$list")
      if [ -z "$line" ]; then
        BEGIN="join"
      elif [ "$(field 2 <<<"$line")" = unstarted ] || [ "$(field 6 <<<"$line")" = true ] || [ -n "$(field 5 <<<"$line")" ]; then
        # added and never come up, or a member whose machine was replaced: its place is taken anew
        say "removing the former member of this machine: $line"
        wait_for 30 "removed" others_do member remove "$(field 1 <<<"$line")"
        BEGIN="join"
      else
        BEGIN="new" # formed together with the others, and not yet started
      fi
      return
    fi
    empty=0 seen=()
    for address in "${others[@]}"; do
      answer=$(ask "$address")
      case $answer in
        empty) empty=$((empty + 1)) ;;
        \[*) if own_member_waits "$answer"; then
          empty=$((empty + 1))
        else
          refused=1
          seen+=("$address has the data of a cluster without a quorum, which does not wait for the first start of this machine")
        fi ;;
        *) seen+=("$address does not answer, so it cannot be told to be empty") ;;
      esac
    done
    if [ "$empty" = ${#others[@]} ]; then
      BEGIN="new"
      return
    fi
    # a quorum may come back (a re-election, a reboot); not for ever
    [ "$refused" = 0 ] || { ((end <= SECONDS + 45)) || end=$((SECONDS + 45)); }
    ((SECONDS < end)) || fail "no etcd cluster is formed: ${seen[*]}.
  The data directory of this machine is empty, and forming a new cluster could hide data that others still have.
  Start the other control-plane machines; if their data is lost, restore a snapshot on all of them:
  /usr/local/lib/kubernetes-from-scratch/restore-etcd.sh says how"
    pause 0.2
  done
}

# own_member_waits JSON: this machine is in the member list that etcd has by itself, and never published its client URL
own_member_waits() {
  local entry
  entry=$(tr '{' '\n' <<<"$1" | grep -F "\"$PEER_URL\"") || return 1
  [[ $entry != *clientURLs* ]]
}

# restart_in_turn: waits until the others are well, takes the turn, looks again, restarts
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
  systemctl stop etcd.service 2>/dev/null || : # it may be failing again and again for want of what is agreed now
  agree
  case $BEGIN in
    join) join_cluster ;;
    new) initial_cluster new "$(awk '{ printf "%s%s=https://%s:2380", (NR > 1 ? "," : ""), $1, $2 }' <<<"$CONTROLLERS")" ;;
  esac
  silence_announcement
fi

verdict etcd.service "${FILES[@]}"
if [ "$VERDICT" = restart ] && etcd_healthy "$PRIVATE_IP" >/dev/null 2>&1; then
  restart_in_turn
else
  begin etcd.service # a member that is not well takes nothing from the quorum
fi

# a learner votes once it has caught up
if [ ${#others[@]} != 0 ] && list=$(members) && line=$(own_line "$list") && [ "$(field 6 <<<"$line")" = true ]; then
  wait_for 120 "promoted to a voting member" others_do member promote "$(field 1 <<<"$line")"
fi
wait_for 120 "etcd has a quorum" curl --silent --fail --max-time 3 http://127.0.0.1:2381/readyz

proof "etcd $ETCD_VERSION on $NODE_NAME has a quorum"
