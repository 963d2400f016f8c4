# shellcheck shell=bash
# kubelet and kube-proxy: the machine becomes a node. Control-plane machines too, with a taint.

install_binary kubelet kube-proxy

# Facts of the machine, in a drop-in beside the kubelet's configuration
resolv_conf=/etc/resolv.conf
! grep -q '^nameserver 127\.0\.0\.53' "$resolv_conf" || resolv_conf=/run/systemd/resolve/resolv.conf # a stub would make CoreDNS ask itself
fail_cgroup_v1=true
[ "$(stat --file-system --format %T /sys/fs/cgroup)" = cgroup2fs ] || fail_cgroup_v1=false
swap_is_off=true
[ "$(wc -l </proc/swaps)" = 1 ] || swap_is_off=false # of the host, which a container cannot turn off
protect=true
while IFS=' =' read -r key value; do
  [[ $key =~ ^(vm|kernel)\. ]] || continue
  [ "$(sysctl --values "$key" 2>/dev/null)" = "$value" ] || protect=false # a container cannot set its host's kernel
done </etc/sysctl.d/99-kubernetes.conf
put /var/lib/kubelet/config.d/10-machine.conf 0600 root:root <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
providerID: aws:///$AVAILABILITY_ZONE/$INSTANCE_ID
resolvConf: $resolv_conf
failCgroupV1: $fail_cgroup_v1
failSwapOn: $swap_is_off
protectKernelDefaults: $protect
END

readonly KUBELET=(kubelet.service /usr/local/bin/kubelet /var/lib/kubelet/config.yaml /var/lib/kubelet/config.d/10-machine.conf
  /etc/kubernetes/kubelet.conf "$PKI"/{kubernetes-ca,kubelet,kubelet-key}.pem)
readonly PROXY=(kube-proxy.service /usr/local/bin/kube-proxy /var/lib/kube-proxy/config.yaml /etc/kubernetes/proxy.conf)

# node_object: this node as the API server has it, asked with the kubelet's own certificate
node_object() {
  curl --silent --max-time 4 --cacert "$PKI/kubernetes-ca.pem" --cert "$PKI/kubelet.pem" --key "$PKI/kubelet-key.pem" \
    "https://$API_NAME:6443/api/v1/nodes/$NODE_NAME?pretty=true"
}
# name_is_free: no Node of this name, or it is this very machine; a former machine's Node is deleted by the step departures
name_is_free() {
  local node
  node=$(node_object)
  grep -q '"code": 404' <<<"$node" && return
  grep -q '"kind": "Node"' <<<"$node" && { ! grep -q '"providerID"' <<<"$node" || grep -q "\"providerID\": \"aws:///$AVAILABILITY_ZONE/$INSTANCE_ID\"" <<<"$node"; }
}
registered() { node_object | grep -q '"kind": "Node"'; }

# Before the API server answers, a kubelet would only back off, for longer every time
wait_for 300 "the API server is ready at $API_NAME" api_ready "$API_NAME"
wait_for 180 "the name $NODE_NAME is free" name_is_free

blame kubelet.service
verdict "${KUBELET[@]}"
if [ "$VERDICT" = restart ] && [ /etc/kubernetes/kubelet.conf -nt /var/lib/kubelet/pki/kubelet-client-current.pem ]; then
  rm -f /var/lib/kubelet/pki/kubelet-client-* # rotated out of a certificate that was replaced since
fi
begin kubelet.service
converge "${PROXY[@]}"
wait_for 60 "the kubelet is healthy" curl --silent --fail --max-time 2 http://127.0.0.1:10248/healthz
wait_for 60 "node $NODE_NAME is registered" registered
blame kube-proxy.service
wait_for 60 "kube-proxy is healthy" curl --silent --fail --max-time 2 http://127.0.0.1:10256/livez

proof "kubelet $KUBERNETES_VERSION and kube-proxy run, node $NODE_NAME is registered"
