# shellcheck shell=bash
# The API server's rights on kubelets. From here on `kubectl get nodes` answers: with nothing, before there are workers.

export KUBECONFIG=$RUNTIME/rbac/admin.conf
on_exit "rm -rf $RUNTIME/rbac"
blame kube-apiserver.service
wait_for 60 "the API server is ready" api_ready 127.0.0.1
apply() { kubectl apply --server-side --force-conflicts --filename /etc/kubernetes/rbac.yaml; }
wait_for 30 "the bindings are applied" apply
allowed() { kubectl auth can-i get nodes --subresource=proxy --as kube-apiserver-kubelet-client --as-group system:authenticated; }
wait_for 30 "the API server may reach kubelets" allowed

proof "the API server may use the kubelets' API, kubelets may renew their certificates"
