#!/usr/bin/env bash
# Downloads release files into the store before the steps that install them; runs in the background.
# Usage: prefetch.sh MIRROR. Input: lines of "name url checksum" in /etc/kubernetes-from-scratch/releases.
set -euo pipefail
# shellcheck disable=SC2034 # used by the library
readonly STEP=prefetch MIRROR=${1:-}
# shellcheck source=/dev/null
. "${BASH_SOURCE[0]%/*}/library.sh"

while read -r name url checksum; do
  fetch "$url" "$checksum"
  say "prefetched $name"
done </etc/kubernetes-from-scratch/releases
