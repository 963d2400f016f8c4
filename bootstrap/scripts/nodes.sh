# shellcheck shell=bash
# The nodes as a whole: all are there, with their roles, and Ready as far as this chapter goes.
# NODES: lines of "name role pod-CIDR". WORKER_LABELS: "key=value ...". NETWORK: yes once pods have one.

export KUBECONFIG=$RUNTIME/nodes/admin.conf
on_exit "rm -rf $RUNTIME/nodes"
names=()
while read -r name role cidr; do
  names+=("node/$name")
  read -ra labels <<<"$WORKER_LABELS"
  [ "$role" != control-plane ] || labels=(node-role.kubernetes.io/control-plane=)
  [ ${#labels[@]} = 0 ] || kubectl label node "$name" --overwrite "${labels[@]}" </dev/null
  # what the bridge on the node gives out; nothing assigns it, so that everybody can read it
  kubectl patch node "$name" --patch "{\"spec\":{\"podCIDR\":\"$cidr\",\"podCIDRs\":[\"$cidr\"]}}" </dev/null
done <<<"$NODES"

blame kube-controller-manager.service
if [ "$NETWORK" = yes ]; then
  kubectl wait --for=condition=Ready --timeout=180s "${names[@]}" || fail "not all nodes became Ready: $(kubectl get nodes --output wide)"
  proof "${#names[@]} nodes are Ready"
else
  kubectl wait --for=condition=Ready=False --timeout=60s "${names[@]}" || fail "nodes without a pod network that are not NotReady: $(kubectl get nodes --output wide)"
  proof "${#names[@]} nodes are registered, and NotReady until they have a pod network"
fi
kubectl get nodes --output wide
