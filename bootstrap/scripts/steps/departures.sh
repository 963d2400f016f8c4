# shellcheck shell=bash
# Removes what no longer belongs to the cluster, while its machine still runs: drains pods, deletes Node objects, and
# removes etcd members. Input: INSTANCES, lines of "name instance-id" for the nodes that belong to the cluster; CONTROLLERS,
# lines of "name address"; API, yes once there is an API server; PRIVATE_IP.

# shellcheck source=bootstrap/scripts/lib/nodes.sh
. "$LIBRARY/nodes.sh"

removed=0
incomplete=() # a sentence per node whose pods did not all leave

if [ "$API" = yes ]; then
  as_admin
  nodes=$(kubectl get nodes --output 'jsonpath={range .items[*]}{.metadata.name} {.spec.providerID}{"\n"}{end}')
  while read -r name provider; do
    [ -n "$name" ] || continue
    wanted=$(awk -v name="$name" '$1 == name { print $2 }' <<<"$INSTANCES")
    [ -z "$wanted" ] || [ -z "$provider" ] || [ "${provider##*/}" != "$wanted" ] || continue
    if [ -z "$wanted" ]; then
      drain "$name"
      [ -z "$DRAINED" ] || {
        incomplete+=("; $name was removed although it $DRAINED")
        say "${incomplete[-1]#; }"
      }
    fi
    kubectl delete node "$name" --ignore-not-found --wait=true --timeout 30s </dev/null
    removed=$((removed + 1))
  done <<<"$nodes"
fi

# Removing an etcd member needs a quorum. A leader hands over first.
own=https://$PRIVATE_IP:2379
member_list() { etcdctl --endpoints "$own" --command-timeout 4s member list; }
wait_for 60 "etcd has a quorum" member_list
while IFS=, read -r id _ name peer _; do
  [ -n "$id" ] || continue
  name=${name# } peer=${peer# }
  awk -v url="$peer" '"https://" $2 ":2380" == url { found = 1 } END { exit !found }' <<<"$CONTROLLERS" && continue
  snapshot "the removal of the etcd member ${name:-$peer}" "$PRIVATE_IP"
  say "removing the etcd member ${name:-$peer}"
  self=$(member_list | grep -F ", https://$PRIVATE_IP:2380, " | cut -d , -f 1)
  etcdctl --endpoints "${peer%:2380}:2379" --dial-timeout 1s --command-timeout 4s move-leader "$self" 2>/dev/null || : # it was not the leader
  remove() { etcdctl --endpoints "$own" --command-timeout 4s member remove "$id"; }
  wait_for 60 "etcd member ${name:-$peer} is removed" remove
  removed=$((removed + 1))
done <<<"$(member_list)"

say "$removed removed"
mapfile -t members < <(member_list | awk -F ', *' '{ print $3 }' | sort)
proof "etcd members: ${members[*]}${incomplete[*]}"
