# shellcheck shell=bash
# CoreDNS, and the proof of it: a real lookup of kubernetes.default through the Service.

export KUBECONFIG=$RUNTIME/dns/admin.conf
on_exit "rm -rf $RUNTIME/dns"
wait_for 60 "the API server is ready" api_ready 127.0.0.1
apply() { kubectl apply --server-side --force-conflicts --filename /etc/kubernetes/coredns.yaml; }
wait_for 30 "CoreDNS is applied" apply

# lookup NAME: asks the cluster's DNS for an IPv4 address, prints it (RFC 1035: header, question, one answer, its last four bytes)
lookup() {
  local query='\x4b\x38\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00' label bytes
  for label in ${1//./ }; do query+=$(printf '\\x%02x%s' ${#label} "$label"); done
  query+='\x00\x00\x01\x00\x01'
  exec {dns}<>"/dev/udp/$CLUSTER_DNS/53"
  # shellcheck disable=SC2059
  printf "$query" | dd bs=512 iflag=fullblock status=none >&"$dns" # one datagram, although it holds a newline
  bytes=$(timeout 1 dd bs=512 count=1 status=none <&"$dns" | od --address-radix n --format u1 --width=512)
  exec {dns}>&-
  read -ra bytes <<<"$bytes"
  ((${#bytes[@]} > 12 && bytes[7] > 0)) || return 1
  (IFS=. && echo "${bytes[*]: -4}")
}
answers() { [ "$(lookup kubernetes.default.svc.cluster.local)" = "$KUBERNETES_SERVICE_IP" ]; }
wait_for 240 "kubernetes.default resolves to $KUBERNETES_SERVICE_IP" answers
kubectl --namespace kube-system rollout status deployment/coredns --timeout 120s || fail "CoreDNS is not there in full: $(kubectl --namespace kube-system get pods --output wide)"

proof "kubernetes.default.svc.cluster.local is $KUBERNETES_SERVICE_IP, says $CLUSTER_DNS"
