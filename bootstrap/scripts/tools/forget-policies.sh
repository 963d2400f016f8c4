#!/bin/bash
# Before the kubelet starts: forgets what the managers of CPUs and memory have saved under another policy than the configured
# one, because the kubelet does not start with it.
# https://kubernetes.io/docs/tasks/administer-cluster/cpu-management-policies/#changing-the-cpu-manager-policy
set -euo pipefail
readonly CONFIG=$1 STATE=$2 # files: the configuration that may set the policies; the directory of what is saved

# forget RESOURCE DEFAULT
forget() {
  local saved=$STATE/$1_manager_state policy
  [ -e "$saved" ] || return 0
  policy=$(grep -oE "\"$1ManagerPolicy\": *\"[^\"]*\"" "$CONFIG" | cut -d '"' -f 4) || policy=$2
  grep -q "\"policyName\": *\"$policy\"" "$saved" || { rm "$saved" && echo "forgot $saved: the policy is now $policy"; }
}
forget cpu none
forget memory None
