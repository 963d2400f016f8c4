# shellcheck shell=bash
# The node's slice of the pod network: a bridge, addresses from host-local, routes by the VPC. The files of
# /etc/cni/net.d are there by now, and the runtime has seen them: the node becomes Ready.

converge pod-network.service /etc/kubernetes/pod-network.nft
blame pod-network.service
wait_for 20 "the rules of the pod network are in place" nft list table ip pod_network

ready() {
  curl --silent --max-time 4 --cacert "$PKI/kubernetes-ca.pem" --cert "$PKI/kubelet.pem" --key "$PKI/kubelet-key.pem" \
    "https://$API_NAME:6443/api/v1/nodes/$NODE_NAME?pretty=true" | grep --after-context 1 '"type": "Ready"' | grep -q '"status": "True"'
}
blame kubelet.service containerd.service
wait_for 120 "node $NODE_NAME is Ready" ready

proof "node $NODE_NAME is Ready, its pods get addresses of $NODE_POD_CIDR"
