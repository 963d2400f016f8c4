# shellcheck shell=bash
# What a control-plane machine without etcd data does:
#
#   what the others report                                           this machine
#   ---------------------------------------------------------------  ----------------------------------------------------
#   a quorum that does not list this machine                         joins as a learner
#   a quorum that lists it as added later, or started before         the old entry is removed, then it joins as a learner
#   a quorum that lists it as an initial member, never started       starts as that member
#   all other machines are empty too, or waiting for this one        forms the new cluster together with them
#   anything else                                                    refuses: a new cluster could hide data that others have
#
# Input: NODE_NAME, PRIVATE_IP, CONTROLLERS (lines of "name address"). Output: BEGIN, set by `decide`.
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

# announce_empty: announces to the other machines, on the peer port and only to holders of a peer certificate, that this
# one has no data. A new cluster is formed only on that evidence; silence does not count.
announce_empty() {
  [ ${#others[@]} != 0 ] || return 0
  silence_announcement
  on_exit silence_announcement
  systemd-run --quiet --collect --unit etcd-empty --property RuntimeMaxSec=600 -- python3 "$LIBRARY/announce-empty.py" "$PRIVATE_IP"
}
silence_announcement() { systemctl stop etcd-empty.service 2>/dev/null || :; }

# ask ADDRESS: what the machine there reports about etcd: "empty", etcd's member list as JSON, or nothing.
ask() {
  port_open "$1" 2380 || return 0
  curl --silent --max-time 2 --http1.1 --cacert /etc/etcd/etcd-ca.pem --cert /etc/etcd/etcd.pem --key /etc/etcd/etcd-key.pem \
    "https://$1:2380/members" || :
}

# own_member_waits JSON: that member list contains this machine, which has never published a client URL.
own_member_waits() {
  local entry
  entry=$(tr '{' '\n' <<<"$1" | grep -F "\"$PEER_URL\"") || return 1
  [[ $entry != *clientURLs* ]]
}

# quorum_decides LIST: sets BEGIN from the member list of a quorum.
quorum_decides() {
  local line
  line=$(own_line "$1")
  BEGIN="join"
  [ -n "$line" ] || return 0
  if [ "$(field 2 <<<"$line")" = unstarted ] || [ "$(field 6 <<<"$line")" = true ] || [ -n "$(field 5 <<<"$line")" ]; then
    # added and never started, or a member whose machine was replaced
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
  local end=$((SECONDS + 180)) list
  REFUSED=0
  announce_empty
  while true; do
    if list=$(members); then
      quorum_decides "$list"
      return
    fi
    survey
    if [ "$EMPTY" = ${#others[@]} ]; then
      BEGIN="new"
      return
    fi
    # a quorum may come back after an election or a reboot, so wait for it, but not for ever
    [ "$REFUSED" = 0 ] || { ((end <= SECONDS + 45)) || end=$((SECONDS + 45)); }
    ((SECONDS < end)) || fail "refusing to form an etcd cluster: ${OBSTACLES[*]}.
  The data directory of this machine is empty, and a new cluster could hide data that the others still have.
  Start the other control-plane machines. If their data is lost, restore a snapshot on all of them as described in
  $LIBRARY/restore-etcd.sh"
    pause 0.2
  done
}
