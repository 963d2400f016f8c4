# shellcheck shell=bash
# Nodes that leave the cluster, for good or until their machine has restarted. kubectl acts as the administrator.

# Label of a node that was cordoned here. A node that somebody else had cordoned stays cordoned.
readonly CORDONED=kubernetes-from-scratch/cordoned

# drain NODE: evicts its pods. What is left after 90 s stays, and DRAINED is a sentence about it, or else empty.
drain() {
  DRAINED=
  say "draining $1"
  kubectl drain "$1" --ignore-daemonsets --delete-emptydir-data --force --timeout 90s </dev/null \
    || DRAINED="could not be drained within 90 s ($(blockers "$1"))"
}

# blockers NODE: the pods that are still there, except those that a drain ignores, and the budgets that do not let pods go.
blockers() {
  local pods namespaces budgets
  pods=$(kubectl get pods --all-namespaces --field-selector "spec.nodeName=$1" --output \
    'jsonpath={range .items[?(@.metadata.ownerReferences[0].kind!="DaemonSet")]}{.metadata.namespace}/{.metadata.name}{"\n"}{end}' | sort)
  namespaces=$(cut -d / -f 1 <<<"$pods" | uniq)
  budgets=$(kubectl get poddisruptionbudgets --all-namespaces --output \
    'jsonpath={range .items[?(@.status.disruptionsAllowed==0)]}{.metadata.namespace}/{.metadata.name}{"\n"}{end}' \
    | awk -F / 'NR == FNR { has[$1]; next } $1 in has' <(echo "$namespaces") -)
  echo "pods: ${pods//$'\n'/, }${budgets:+; PodDisruptionBudgets that allow no disruption: ${budgets//$'\n'/, }}"
}

# ready NODE: prints True if the kubelet has reported that, and when it last reported anything; nothing if there is no such node.
ready() {
  kubectl get node "$1" --ignore-not-found --output \
    'jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.lastHeartbeatTime}{end}'
}

# leave NODE: cordons and drains it until it returns.
leave() {
  [ -n "$(kubectl get node "$1" --ignore-not-found --output name)" ] || return 0
  [ "$(kubectl get node "$1" --output 'jsonpath={.spec.unschedulable}')" = true ] \
    || kubectl label node "$1" --overwrite "$CORDONED=yes"
  kubectl cordon "$1"
  if [[ $(ready "$1") == True* ]]; then
    drain "$1"
    [ -z "$DRAINED" ] || say "warning: $1 $DRAINED, and restarts nevertheless"
  else
    say "warning: $1 is not Ready, so it is not drained"
  fi
}

# return_nodes EXCEPT: waits for the nodes that were cordoned here, and lets pods on them again.
return_nodes() {
  local node
  for node in $(kubectl get nodes --selector "$CORDONED" --output name); do
    [ "$node" != "node/$1" ] || continue
    kubectl wait --for=condition=Ready --timeout=180s "$node" || fail "$node was cordoned for a restart, and is not Ready yet"
    kubectl uncordon "$node"
    kubectl label "$node" "$CORDONED-"
  done
}
