#!/usr/bin/env bash
# Checks the control plane's downloaded binaries against their published sums, which are beside them.
set -euo pipefail
cd /var/lib/kubernetes-from-scratch/releases/dl.k8s.io/release/*/bin/linux/*/
for file in kube-apiserver kube-scheduler kubelet; do echo "$(cat $file.sha256) $file"; done | sha256sum -c
