# shellcheck shell=bash
# The roles of administrators, API server and kubelets. From here on `kubectl get nodes` works, with an empty list until
# kubelets register. Input: /etc/kubernetes/rbac.yaml, ADMINISTRATORS, a group.

blame kube-apiserver.service
as_admin
apply() { kubectl apply --server-side --force-conflicts --filename /etc/kubernetes/rbac.yaml; }
wait_for 30 "the bindings are applied" apply
allowed() { kubectl auth can-i get nodes --subresource=proxy --as kube-apiserver-kubelet-client --as-group system:authenticated; }
wait_for 30 "the API server is authorized to call kubelets" allowed
administrate() { kubectl auth can-i '*' '*' --as administrator --as-group "$ADMINISTRATORS" --as-group system:authenticated; }
wait_for 30 "administrators may do everything" administrate

proof "administrators may do everything, the API server is authorized to call kubelets, and kubelets can renew their certificates"
