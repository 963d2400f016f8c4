# shellcheck shell=bash
# The nodes as a whole: all are there, with their roles, and Ready as far as this chapter goes.
# NODES: lines of "name role pod-CIDR". WORKER_LABELS: YAML pairs. NETWORK: yes once pods have one.

export KUBECONFIG=$RUNTIME/nodes/admin.conf
on_exit "rm -rf $RUNTIME/nodes"
declare -A zones # by node, as the kubelets have it from EC2: aws:///<zone>/<instance id>
while IFS=' /' read -r name _ _ _ zone _; do zones[$name]=$zone; done < <(kubectl get nodes --output \
  'jsonpath={range .items[*]}{.metadata.name} {.spec.providerID}{"\n"}{end}')
names=()
wanted=
while read -r name role cidr; do
  names+=("node/$name")
  zone=${zones[$name]:-}
  labels="topology.kubernetes.io/zone: \"$zone\", topology.kubernetes.io/region: \"${zone%[a-z]}\""
  if [ "$role" = control-plane ]; then
    labels+=', node-role.kubernetes.io/control-plane: ""'
  elif [ -n "$WORKER_LABELS" ]; then
    labels+=", $WORKER_LABELS"
  fi
  # podCIDR: what the bridge on the node gives out; nothing assigns it, it is there to be read
  wanted+="{apiVersion: v1, kind: Node, metadata: {name: $name, labels: {$labels}}, spec: {podCIDR: $cidr, podCIDRs: [$cidr]}}"$'\n---\n'
done <<<"$NODES"
describe() { kubectl apply --server-side --force-conflicts --field-manager kubernetes-from-scratch --filename - <<<"$wanted"; }
wait_for 30 "the nodes have their roles" describe

blame kube-controller-manager.service
if [ "$NETWORK" = yes ]; then
  kubectl wait --for=condition=Ready --timeout=180s "${names[@]}" || fail "not all nodes became Ready: $(kubectl get nodes --output wide)"
  proof "${#names[@]} nodes are Ready"
else
  kubectl wait --for=condition=Ready=False --timeout=60s "${names[@]}" || fail "nodes without a pod network that are not NotReady: $(kubectl get nodes --output wide)"
  proof "${#names[@]} nodes are registered, and NotReady until they have a pod network"
fi
kubectl get nodes --output wide
