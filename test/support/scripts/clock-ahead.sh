#!/usr/bin/env bash
# Sets the clock of the control plane's programs ahead, because a container has no clock of its own.
# Argument: seconds. Needs clock-offset.py in /usr/local/bin.
set -euo pipefail
units=(etcd kube-apiserver kube-controller-manager kube-scheduler)
for unit in "${units[@]}"; do
  command_line=$(sed -n '/^ExecStart=/,/[^\\]$/p' "/etc/systemd/system/$unit.service" | sed 's/^ExecStart=//')
  drop_in=/run/systemd/system/$unit.service.d
  mkdir -p "$drop_in"
  printf '[Service]\nExecStart=\nExecStart=/usr/bin/python3 /usr/local/bin/clock-offset.py %s %s\n' "$1" "$command_line" >"$drop_in/clock.conf"
done
systemctl daemon-reload
systemctl restart "${units[@]}"
