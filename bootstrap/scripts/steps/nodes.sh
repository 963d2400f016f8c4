# shellcheck shell=bash
# The nodes as a whole: all of them are registered and have their roles, and they are Ready once there is a pod network,
# with a warning for authors of NetworkPolicies, which that network does not enforce.
# Input: NODES, lines of "name role pod-CIDR instance-type"; NODE_LABELS, lines of "name pairs-of-YAML"; NODE_TAINTS, lines of
# "name key=value:effect"; NETWORK, yes once there is a pod network.

# shellcheck source=bootstrap/scripts/lib/nodes.sh
. "$LIBRARY/nodes.sh"
as_admin
declare -A zones # by node, from the kubelets' provider IDs: aws:///<zone>/<instance id>
while IFS=' /' read -r name _ _ _ zone _; do zones[$name]=$zone; done < <(kubectl get nodes --output \
  'jsonpath={range .items[*]}{.metadata.name} {.spec.providerID}{"\n"}{end}')
names=()
wanted=
while read -r name role cidr type; do
  names+=("node/$name")
  zone=${zones[$name]:-}
  labels="topology.kubernetes.io/zone: \"$zone\", topology.kubernetes.io/region: \"${zone%[a-z]}\""
  labels+=", node.kubernetes.io/instance-type: \"$type\""
  if [ "$role" = control-plane ]; then
    labels+=', node-role.kubernetes.io/control-plane: ""'
  fi
  own=$(awk -v name="$name" '$1 == name { sub(/^[^ ]+ /, ""); print }' <<<"$NODE_LABELS")
  [ -z "$own" ] || labels+=", $own"
  # The bridge on the node assigns addresses from this range; podCIDR only records it.
  wanted+="{apiVersion: v1, kind: Node, metadata: {name: $name, labels: {$labels}}, spec: {podCIDR: $cidr, podCIDRs: [$cidr]}}"$'\n---\n'
done <<<"$NODES"
describe() { kubectl apply --server-side --force-conflicts --field-manager kubernetes-from-scratch --filename - <<<"$wanted"; }
wait_for 30 "the nodes have their roles" describe

# Controllers write the list of taints as well, so that an annotation of the node records which of them were set here.
readonly TAINTED=kubernetes-from-scratch/taints
taint() {
  local node recorded wanted names name present changes
  while read -r node recorded; do
    wanted=$(awk -v node="$node" '$1 == node { print $2 }' <<<"$NODE_TAINTS")
    [ -n "$wanted$recorded" ] || continue
    names=$(awk '{ sub(/=.*:/, ":"); print }' <<<"$wanted")
    present=$(kubectl get node "$node" --output 'jsonpath={range .spec.taints[*]}{.key}:{.effect}{"\n"}{end}')
    mapfile -t changes <<<"$wanted"
    [ -n "$wanted" ] || changes=()
    for name in ${recorded//,/ }; do
      grep --quiet --line-regexp --fixed-strings "$name" <<<"$names" \
        || ! grep --quiet --line-regexp --fixed-strings "$name" <<<"$present" || changes+=("$name-")
    done
    ((${#changes[@]} == 0)) || kubectl taint node "$node" --overwrite "${changes[@]}" || return 1
    kubectl annotate node "$node" --overwrite "$TAINTED$([ -z "$names" ] && echo - || echo "=${names//$'\n'/,}")" || return 1
  done < <(kubectl get nodes --output "jsonpath={range .items[*]}{.metadata.name} {.metadata.annotations['$TAINTED']}{\"\n\"}{end}")
}
wait_for 30 "the nodes have their taints" taint

blame kube-controller-manager.service
if [ "$NETWORK" = yes ]; then
  kubectl wait --for=condition=Ready --timeout=180s "${names[@]}" || fail "not all nodes became Ready: $(kubectl get nodes --output wide)"
  warn() { kubectl apply --server-side --force-conflicts --filename /etc/kubernetes/network-policy.yaml; }
  wait_for 30 "authors of NetworkPolicies are warned" warn
  return_nodes '' # a restart that was interrupted leaves its node cordoned
  proof "${#names[@]} nodes are Ready"
else
  kubectl wait --for=condition=Ready=False --timeout=60s "${names[@]}" || fail "nodes without a pod network should be NotReady: $(kubectl get nodes --output wide)"
  proof "${#names[@]} nodes are registered, and NotReady until there is a pod network"
fi
kubectl get nodes --output wide
