# shellcheck shell=bash
# kubelet and kube-proxy: the machine becomes a node. Control-plane machines do too, with a taint.
# Input: NODE_NAME, KUBERNETES_VERSION, API_NAME, RELEASES, MIRROR; INSTANCE_ID and AVAILABILITY_ZONE, from EC2.

install_binary kubelet kube-proxy

install --directory --mode 0700 /etc/kubernetes/manifests # of static pods

# Facts about the machine, in a drop-in beside the kubelet's configuration
resolv_conf=/etc/resolv.conf
! grep -q '^nameserver 127\.0\.0\.53' "$resolv_conf" || resolv_conf=/run/systemd/resolve/resolv.conf # through the stub, CoreDNS would query itself
fail_cgroup_v1=true
[ "$(stat --file-system --format %T /sys/fs/cgroup)" = cgroup2fs ] || fail_cgroup_v1=false
swap_is_off=true
[ "$(wc -l </proc/swaps)" = 1 ] || swap_is_off=false # swap of the host, which a container cannot turn off
protect=true
while IFS=' =' read -r key value; do
  [[ $key =~ ^(vm|kernel)\. ]] || continue
  [ "$(sysctl --values "$key" 2>/dev/null)" = "$value" ] || protect=false # a container cannot set these for its host
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

readonly KUBELET=(kubelet.service /usr/local/bin/kubelet /var/lib/kubelet/config.yaml /var/lib/kubelet/config.d/{10-machine,20-settings}.conf
  /etc/kubernetes/kubelet.conf "$PKI"/{kubernetes-ca,kubelet,kubelet-key}.pem)
readonly PROXY=(kube-proxy.service /usr/local/bin/kube-proxy /var/lib/kube-proxy/config.yaml /etc/kubernetes/proxy.conf)
# shellcheck disable=SC2034 # prove_or_take_back gets them by name
readonly KUBELET_SETTINGS=(/var/lib/kubelet/config.yaml /var/lib/kubelet/config.d/{10-machine,20-settings}.conf) PROXY_SETTINGS=(/var/lib/kube-proxy/config.yaml)

# name_is_free: no Node has this name, or it is this machine. The step departures deletes a former machine's Node.
name_is_free() {
  local node
  node=$(own_node)
  grep -q '"code": 404' <<<"$node" && return
  grep -q '"kind": "Node"' <<<"$node" && { ! grep -q '"providerID"' <<<"$node" || grep -q "\"providerID\": \"aws:///$AVAILABILITY_ZONE/$INSTANCE_ID\"" <<<"$node"; }
}
kubelet_well() { curl --silent --fail --max-time 2 http://127.0.0.1:10248/healthz; }
registered() { own_node | grep -q '"kind": "Node"'; }

# Without an API server, a kubelet would only back off, for longer each time
wait_for 300 "the API server is ready at $API_NAME" api_ready "$API_NAME"
wait_for 180 "the name $NODE_NAME is free" name_is_free

blame kubelet.service
verdict "${KUBELET[@]}"
if [ "$VERDICT" = restart ] && [ /etc/kubernetes/kubelet.conf -nt /var/lib/kubelet/pki/kubelet-client-current.pem ]; then
  rm -f /var/lib/kubelet/pki/kubelet-client-* # renewed from a certificate that has been replaced since
fi
# a kubelet registers its node only when it starts, and an API server with an empty etcd does not know the node
[ "$VERDICT" != keep ] || registered || VERDICT=restart
begin kubelet.service
prove_or_take_back 60 "kubeletConfig or featureGates" KUBELET KUBELET_SETTINGS kubelet_well
converge "${PROXY[@]}"
wait_for 60 "node $NODE_NAME is registered" registered
converge ended-pods.service
blame kube-proxy.service
proxy_well() { curl --silent --fail --max-time 2 http://127.0.0.1:10256/livez; }
prove_or_take_back 60 featureGates PROXY PROXY_SETTINGS proxy_well

proof "kubelet $KUBERNETES_VERSION and kube-proxy are running, node $NODE_NAME is registered"
