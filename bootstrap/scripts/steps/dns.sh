# shellcheck shell=bash
# CoreDNS, and the proof that it works: a lookup of kubernetes.default through the Service.
# Input: CLUSTER_DNS, address of the Service kube-dns; KUBERNETES_SERVICE_IP; /etc/kubernetes/coredns.yaml.

as_admin
apply() { kubectl apply --server-side --force-conflicts --filename /etc/kubernetes/coredns.yaml; }
wait_for 30 "CoreDNS is applied" apply

# lookup NAME: asks the cluster's DNS for an IPv4 address and prints it. This works without DNS tools on the machine: a
# query is a header of twelve bytes and the name, and the last four bytes of a reply with one answer are the address
# (RFC 1035).
lookup() {
  local query='\x4b\x38\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00' label bytes
  for label in ${1//./ }; do query+=$(printf '\\x%02x%s' ${#label} "$label"); done
  query+='\x00\x00\x01\x00\x01'
  exec {dns}<>"/dev/udp/$CLUSTER_DNS/53"
  # shellcheck disable=SC2059
  printf "$query" | dd bs=512 iflag=fullblock status=none >&"$dns" # as one datagram, even if it contains a newline
  bytes=$(timeout 1 dd bs=512 count=1 status=none <&"$dns" | od --address-radix n --format u1 --width=512)
  exec {dns}>&-
  read -ra bytes <<<"$bytes"
  ((${#bytes[@]} > 12 && bytes[7] > 0)) || return 1
  (IFS=. && echo "${bytes[*]: -4}")
}
resolves() { [ "$(lookup kubernetes.default.svc.cluster.local)" = "$KUBERNETES_SERVICE_IP" ]; }
wait_for 240 "kubernetes.default resolves to $KUBERNETES_SERVICE_IP" resolves
kubectl --namespace kube-system rollout status deployment/coredns --timeout 120s || fail "not all CoreDNS pods are ready: $(kubectl --namespace kube-system get pods --output wide)"

proof "$CLUSTER_DNS resolves kubernetes.default.svc.cluster.local to $KUBERNETES_SERVICE_IP"
