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

KEY=$(named_key "$(cat "$RUNTIME/$STEP/encryption-key")")
admit_key # a change of the keys is loaded without a restart

verdict "${API[@]}"
if [ "$VERDICT" = restart ]; then
  if proves_well 30 "${API[0]}" api_ready 127.0.0.1; then in_turn "${API[0]}" others_ready; else out_of_turn "${API[0]}"; fi
fi
begin "${API[0]}"
wait_for 120 "the API server is ready" api_ready 127.0.0.1
# without an API server, the controller manager and the scheduler would only back off
converge "${MANAGER[@]}"
converge "${SCHEDULER[@]}"
give_turn

healthy() { curl --silent --fail --insecure --max-time 2 --output /dev/null "https://127.0.0.1:$1/healthz"; }
blame kube-controller-manager.service
wait_for 60 "the controller manager is healthy" healthy 10257
blame kube-scheduler.service
wait_for 60 "the scheduler is healthy" healthy 10259

if ! is_only_key; then
  as_admin
  change_key
fi

proof "Kubernetes $KUBERNETES_VERSION control plane on $NODE_NAME is ready"
