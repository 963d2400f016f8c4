# shellcheck shell=bash
# The API server's permissions on kubelets. From here on `kubectl get nodes` works, with an empty list until kubelets
# register. Input: /etc/kubernetes/rbac.yaml.

blame kube-apiserver.service
as_admin
apply() { kubectl apply --server-side --force-conflicts --filename /etc/kubernetes/rbac.yaml; }
wait_for 30 "the bindings are applied" apply
allowed() { kubectl auth can-i get nodes --subresource=proxy --as kube-apiserver-kubelet-client --as-group system:authenticated; }
wait_for 30 "the API server is authorized to call kubelets" allowed

proof "the API server is authorized to call kubelets, and kubelets can renew their certificates"
