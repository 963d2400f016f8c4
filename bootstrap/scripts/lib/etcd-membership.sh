# shellcheck shell=bash
# What a control-plane machine without etcd data does:
#
#   what the others report                                           this machine
#   ---------------------------------------------------------------  ----------------------------------------------------
#   a quorum that does not list this machine                         joins as a learner
#   a quorum that lists it as added later, or started before         the old entry is removed, then it joins as a learner
#   a quorum that lists it as an initial member, never started       starts as that member
#   no quorum, and the data of this or another machine has got lost  refuses: a new cluster would be empty
#   all other machines are empty too, or waiting for this one        forms the new cluster together with them
#   anything else                                                    refuses: a new cluster could hide data that others have
#
# A machine whose data belongs to another cluster than that of the others' quorum was away while they were restored from a
# snapshot. Its data is set aside, and it joins.
#
# Input: NODE_NAME, PRIVATE_IP, CLUSTER_NAME, CONTROLLERS (lines of "name address"). Output: BEGIN, set by `decide`.
# shellcheck disable=SC2034 # the step etcd reads it

readonly PEER_URL=https://$PRIVATE_IP:2380
mapfile -t others < <(other_controllers)

# others_do COMMAND...: etcdctl against the other machines of the control plane.
others_do() { etcdctl --endpoints "$(printf 'https://%s:2379,' "${others[@]}" | sed 's/,$//')" --dial-timeout 1s --command-timeout 4s "$@"; }

# members: the member list, if the others have a quorum: lines of "id, started|unstarted, name, peer URL, client URL,
# learner".
members() {
  local address
  for address in "${others[@]}"; do port_open "$address" 2379 && { others_do member list 2>/dev/null; return; }; done
  return 1
}
own_line() { grep -F ", $PEER_URL, " <<<"$1" || :; }
field() { awk -F ', *' -v n="$1" '{ print $n }'; }

# initial_cluster STATE CLUSTER: writes what etcd reads if its data directory is empty.
initial_cluster() {
  printf 'ETCD_INITIAL_CLUSTER_STATE=%s\nETCD_INITIAL_CLUSTER=%s\n' "$1" "$2" | put /etc/etcd/initial-cluster.env 0644 root:root
}

# new_cluster: this machine forms the cluster together with the others.
new_cluster() {
  initial_cluster new "$(awk '{ printf "%s%s=https://%s:2380", (NR > 1 ? "," : ""), $1, $2 }' <<<"$CONTROLLERS")"
}

# join_cluster: this machine becomes a learner of the running cluster. etcd allows one at a time, so the others wait.
join_cluster() {
  local list
  # shellcheck disable=SC2317 # wait_for calls it
  add() { others_do member add "$NODE_NAME" --learner --peer-urls "$PEER_URL"; }
  wait_for 120 "the cluster has added this machine as a learner" add
  list=$(members)
  initial_cluster existing "$(awk -F ', *' -v url="$PEER_URL" -v self="$NODE_NAME" \
    '{ name = $4 == url ? self : $3 } name != "" { printf "%s%s=%s", (n++ ? "," : ""), name, $4 }' <<<"$list")"
}

# announce empty|lost: announces to the other machines, on the peer port and only to holders of a peer certificate, that this
# one has no data, or has it no longer. A new cluster is formed only if all are empty; silence does not count.
announce() {
  [ ${#others[@]} != 0 ] || return 0
  silence_announcement
  on_exit silence_announcement
  # systemd refuses while it has not forgotten the former one yet
  wait_for 10 "this machine announces that it is $1" systemd-run --quiet --collect --unit etcd-empty \
    --property RuntimeMaxSec=600 -- python3 "$LIBRARY/announce-empty.py" "$PRIVATE_IP" "$1"
}
silence_announcement() { systemctl stop etcd-empty.service 2>/dev/null || :; }

# ask ADDRESS [OPTION...]: what the machine there reports about etcd: "empty", "lost", etcd's member list as JSON, or nothing.
ask() {
  port_open "$1" 2380 || return 0
  curl --silent --max-time 2 --http1.1 --cacert /etc/etcd/etcd-ca.pem --cert /etc/etcd/etcd.pem --key /etc/etcd/etcd-key.pem \
    "${@:2}" "https://$1:2380/members" || :
}

# cluster_id ADDRESS: the id of the cluster to which the data there belongs. It takes no quorum.
cluster_id() { ask "$1" --output /dev/null --write-out '%header{x-etcd-cluster-id}'; }

# is_stale: another machine has a quorum, and its data belongs to another cluster than the data of this machine.
is_stale() {
  local own theirs address
  own=$(cluster_id "$PRIVATE_IP")
  [ -n "$own" ] || return 1
  for address in "${others[@]}"; do
    etcd_healthy "$address" >/dev/null 2>&1 || continue
    theirs=$(cluster_id "$address")
    if [ -n "$theirs" ] && [ "$theirs" != "$own" ]; then
      say "the data of this machine belongs to the cluster $own, which has no quorum, and that of $address to $theirs, which has one"
      return
    fi
  done
  return 1
}

# initial_id: the id that etcd gives to this machine as an initial member. In a restored cluster, it has a different one.
initial_id() { printf '%s' "$PEER_URL$CLUSTER_NAME" | sha1sum | cut -c -16 | sed 's/^0*//'; }

# own_member_waits JSON: that member list contains this machine, which has never published a client URL.
own_member_waits() {
  local entry
  entry=$(tr '{' '\n' <<<"$1" | grep -F "\"$PEER_URL\"") || return 1
  [[ $entry != *clientURLs* ]]
}

# snapshot_of_others: saves a snapshot of another machine's member on this machine, before the members change.
snapshot_of_others() {
  local address
  for address in "${others[@]}"; do ! etcd_healthy "$address" >/dev/null 2>&1 || break; done
  snapshot "a change of the members" "$address"
}

# quorum_decides LIST: sets BEGIN from the member list of a quorum.
quorum_decides() {
  local line
  line=$(own_line "$1")
  BEGIN="join"
  if [ -z "$line" ]; then
    snapshot_of_others
  elif [ "$(field 2 <<<"$line")" = unstarted ] || [ "$(field 6 <<<"$line")" = true ] || [ -n "$(field 5 <<<"$line")" ] \
    || [ "$(field 1 <<<"$line")" != "$(initial_id)" ]; then
    # added and never started, a member whose machine was replaced, or a member of a restored cluster
    snapshot_of_others
    say "removing the former member of this machine: $line"
    wait_for 30 "the former member is removed" others_do member remove "$(field 1 <<<"$line")"
  else
    BEGIN="new"
  fi
}

# survey: asks every other machine. Sets EMPTY to the number of those that have no data or wait for this one, OBSTACLES
# to sentences about the others, and REFUSED to 1 if one of them has data.
survey() {
  local address answer
  EMPTY=0 OBSTACLES=()
  for address in "${others[@]}"; do
    answer=$(ask "$address")
    case $answer in
      empty) EMPTY=$((EMPTY + 1)) ;;
      lost)
        REFUSED=1
        OBSTACLES+=("the data of $address has got lost")
        ;;
      \[*) if own_member_waits "$answer"; then
        EMPTY=$((EMPTY + 1))
      else
        REFUSED=1
        OBSTACLES+=("$address has the data of a cluster without a quorum, which does not expect this machine to start for the first time")
      fi ;;
      *) OBSTACLES+=("$address does not respond, so it is unknown whether it has data") ;;
    esac
  done
}

# decide: sets BEGIN to join or new according to the table above, or fails.
decide() {
  local end=$((SECONDS + 180)) list own=empty
  REFUSED=0
  if has_lost_data; then own=lost REFUSED=1; fi
  announce "$own"
  while true; do
    if list=$(members); then
      quorum_decides "$list"
      return
    fi
    survey
    if [ "$own" = empty ] && [ "$EMPTY" = ${#others[@]} ]; then
      BEGIN="new"
      return
    fi
    # a quorum may come back after an election or a reboot, so wait for it, but not for ever
    [ "$REFUSED" = 0 ] || { ((end <= SECONDS + 45)) || end=$((SECONDS + 45)); }
    ((SECONDS < end && ${#others[@]} > 0)) || refuse "$own"
    pause 0.2
  done
}

# refuse empty|lost
refuse() {
  local why="The data directory of this machine is empty, and a new cluster could hide data that the others still have.
  Start the other control-plane machines."
  if [ "$1" = lost ]; then
    why="etcd on this machine had data, which has got lost: $ETCD_DATA/member is missing. A new cluster would be empty."
  fi
  fail "refusing to form an etcd cluster${OBSTACLES[*]:+: $(printf '%s; ' "${OBSTACLES[@]}" | sed 's/; $//')}.
  $why If data is lost for good:
  $(how_to_restore)
  To begin with an empty cluster instead, once nothing is left on any of them: LOSE_DATA=yes make up STACK=<stack>"
}
