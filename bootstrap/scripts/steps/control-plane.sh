# shellcheck shell=bash
# kube-apiserver, kube-controller-manager and kube-scheduler. All machines start for the first time in parallel;
# afterwards one machine restarts at a time, and only while the API servers of the others are ready.
# Input: NODE_NAME, KUBERNETES_VERSION, CONTROLLERS (lines of "name address"), RELEASES, MIRROR.

# shellcheck source=bootstrap/scripts/lib/encryption.sh
. "$LIBRARY/encryption.sh"

install_binary kube-apiserver kube-controller-manager kube-scheduler kubectl
[ -d /var/log/kubernetes/audit ] || install -d -m 0700 /var/log/kubernetes/audit

readonly API=(kube-apiserver.service /usr/local/bin/kube-apiserver /etc/etcd/etcd-ca.pem
  /etc/kubernetes/{authentication-config,admission-config,audit-policy}.yaml
  "$PKI"/{client-ca,kubernetes-ca,front-proxy-ca,service-account,service-account-key}.pem
  "$PKI"/{kube-apiserver,apiserver-etcd-client,apiserver-kubelet-client,front-proxy-client}{,-key}.pem)
readonly MANAGER=(kube-controller-manager.service /usr/local/bin/kube-controller-manager /etc/kubernetes/controller-manager.conf
  "$PKI"/{client-ca,kubernetes-ca,front-proxy-ca,cluster-signing,cluster-signing-key,service-account-key}.pem)
readonly SCHEDULER=(kube-scheduler.service /usr/local/bin/kube-scheduler /etc/kubernetes/{scheduler.conf,scheduler.yaml}
  "$PKI"/{client-ca,front-proxy-ca}.pem)
readonly API_SETTINGS=(/etc/kubernetes/{authentication-config,admission-config,audit-policy}.yaml)
# shellcheck disable=SC2034 # run_proven gets it by name
readonly MANAGER_SETTINGS=() SCHEDULER_SETTINGS=(/etc/kubernetes/scheduler.yaml)
blame kube-apiserver.service

# others_ready SECONDS
others_ready() {
  local name address
  while read -r name address; do
    [ "$name" = "$NODE_NAME" ] || wait_for "$1" "the API server on $address is ready" ready_or_waiting "$name" "$address"
  done <<<"$CONTROLLERS"
}
# one that waits for this machine to change the encryption key does not serve, and will not before that
ready_or_waiting() { api_ready "$2" || waits_for_key "$1"; }

# --- An API server that does not come up with a new configuration gets the former one back, and the machines that wait for their
# turn meanwhile do not try. They learn of it from a key in etcd that is newer than their wait.
readonly REJECTED=kubernetes-from-scratch/rejected
readonly KEYS="apiServerArgs, jwtAuthenticators or featureGates"
# revision FIELD: of that key (ModRevision) or of etcd as a whole (Revision); 0 if the key does not exist
revision() {
  etcdctl --endpoints "$(etcd_endpoints)" --command-timeout 4s get "$REJECTED" --write-out fields \
    | awk -F ' : ' -v field="\"$1\"" '$1 == field { value = $2 } END { print value + 0 }'
}
reject() {
  local lines errors
  lines=$(new_lines "${API[0]}" "${API_SETTINGS[@]}")
  errors=$(last_errors "${API[0]}")
  [ -z "$(other_controllers)" ] || etcdctl --endpoints "$(etcd_endpoints)" --command-timeout 10s put "$REJECTED" "$NODE_NAME" >/dev/null \
    || say "the other machines cannot be told, because etcd does not respond"
  run_proven API API_SETTINGS api_ready 127.0.0.1
  give_turn
  printf '%s\n' "the API server's last errors:" "$errors"
  fail "the API server on $NODE_NAME does not come up with ${lines:-its new configuration}. It serves with its former configuration again. Correct $KEYS and run this again"
}

KEY=$(named_key "$(cat "$RUNTIME/$STEP/encryption-key")")
admit_key # a change of the keys is loaded without a restart

verdict "${API[@]}"
if [ "$VERDICT" = restart ]; then
  started=0
  [ -z "$(other_controllers)" ] || ! is_new "${API[0]}" "${API_SETTINGS[@]}" || started=$(revision Revision) || started=0
  if proves_well 30 "${API[0]}" api_ready 127.0.0.1; then in_turn "${API[0]}" others_ready; else out_of_turn "${API[0]}"; fi
  if [ "$started" != 0 ] && rejected=$(revision ModRevision) && ((rejected > started)); then
    put_back "${API[0]}" "${API_SETTINGS[@]}"
    give_turn
    blame
    fail "the API server of another machine does not come up with its new configuration, so this one keeps its former one. Correct $KEYS and run this again"
  fi
fi
begin "${API[0]}"
! is_new "${API[0]}" "${API_SETTINGS[@]}" || proves_well 120 "${API[0]}" api_ready 127.0.0.1 || reject
wait_for 120 "the API server is ready" api_ready 127.0.0.1
prove "${API[0]}" "${API_SETTINGS[@]}"
# without an API server, the controller manager and the scheduler would only back off
converge "${MANAGER[@]}"
converge "${SCHEDULER[@]}"
give_turn

healthy() { curl --silent --fail --insecure --max-time 2 --output /dev/null "https://127.0.0.1:$1/healthz"; }
blame kube-controller-manager.service
prove_or_take_back 60 "controllerManagerArgs or featureGates" MANAGER MANAGER_SETTINGS healthy 10257
blame kube-scheduler.service
prove_or_take_back 60 "schedulerArgs or featureGates" SCHEDULER SCHEDULER_SETTINGS healthy 10259

if ! is_only_key; then
  as_admin
  change_key
fi

proof "Kubernetes $KUBERNETES_VERSION control plane on $NODE_NAME is ready"
