#!/usr/bin/env bash
# Checks the files that run on machines: shell scripts with shellcheck, systemd units with systemd-analyze verify.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
command -v shellcheck >/dev/null || missing+=(shellcheck)
command -v systemd-analyze >/dev/null || missing+=(systemd)
if ((${#missing[@]})); then
  if ((EUID == 0)) && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    echo "These Debian packages are missing: ${missing[*]}. Install them: sudo apt-get install ${missing[*]}"
    exit 1
  fi
fi

mapfile -d '' scripts < <(git ls-files -z '*.sh' .ci/run)
shellcheck --external-sources "${scripts[@]}"

# The units name binaries that exist only on the machines, so they are verified in a tree with empty files instead.
units=(bootstrap/units/*.{service,timer})
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/etc/systemd/system" "$tree/lib/systemd"
cp -r /lib/systemd/system "$tree/lib/systemd/"
cp "${units[@]}" "$tree/etc/systemd/system/"
for unit in "${units[@]}"; do
  while read -r binary; do
    mkdir -p "$tree$(dirname "$binary")"
    install -m 0755 /dev/null "$tree$binary"
  done < <(sed -nE 's/^Exec[A-Za-z]+=[-+!:@]*(\/[^ ]+).*/\1/p' "$unit")
  problems=$(systemd-analyze verify --root="$tree" --man=no --recursive-errors=no "/etc/systemd/system/${unit##*/}" 2>&1) || {
    echo "$unit: $problems"
    exit 1
  }
  if grep -q "${unit##*/}" <<<"$problems"; then
    echo "$unit: $problems"
    exit 1
  fi
done
echo "${#scripts[@]} scripts and ${#units[@]} units have no problems"
