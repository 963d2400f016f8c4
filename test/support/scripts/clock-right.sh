#!/usr/bin/env bash
# Undoes clock-ahead.sh.
set -euo pipefail
units=(etcd kube-apiserver kube-controller-manager kube-scheduler)
for unit in "${units[@]}"; do rm -r "/run/systemd/system/$unit.service.d"; done
systemctl daemon-reload
systemctl restart "${units[@]}"
