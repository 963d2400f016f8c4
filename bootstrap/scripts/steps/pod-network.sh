# shellcheck shell=bash
# The node's slice of the pod network: a bridge, addresses from host-local, routes in the VPC. The runtime picks up the
# files in /etc/cni/net.d by itself, and the node becomes Ready. Input: NODE_NAME, NODE_POD_CIDR, API_NAME.

rm --force /etc/cni/net.d/10-bridge.conf # of clusters without host ports; the runtime would prefer it to 10-bridge.conflist
converge pod-network.service /etc/kubernetes/pod-network.nft
blame pod-network.service
wait_for 20 "the rules of the pod network are in place" nft list table ip pod_network

ready() { own_node | grep --after-context 1 '"type": "Ready"' | grep -q '"status": "True"'; }
blame kubelet.service containerd.service
wait_for 120 "node $NODE_NAME is Ready" ready

proof "node $NODE_NAME is Ready, and its pods get addresses from $NODE_POD_CIDR"
