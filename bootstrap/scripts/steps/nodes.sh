# shellcheck shell=bash
# The nodes as a whole: all of them are registered and have their roles, and they are Ready once there is a pod network,
# with a warning for authors of NetworkPolicies, which that network does not enforce.
# Input: NODES, lines of "name role pod-CIDR instance-type"; WORKER_LABELS, pairs of YAML; NETWORK, yes once there is a pod network.

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
  elif [ -n "$WORKER_LABELS" ]; then
    labels+=", $WORKER_LABELS"
  fi
  # The bridge on the node assigns addresses from this range; podCIDR only records it.
  wanted+="{apiVersion: v1, kind: Node, metadata: {name: $name, labels: {$labels}}, spec: {podCIDR: $cidr, podCIDRs: [$cidr]}}"$'\n---\n'
done <<<"$NODES"
describe() { kubectl apply --server-side --force-conflicts --field-manager kubernetes-from-scratch --filename - <<<"$wanted"; }
wait_for 30 "the nodes have their roles" describe

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
