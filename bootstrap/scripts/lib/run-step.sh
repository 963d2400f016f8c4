#!/usr/bin/env bash
# Runs one step of the bootstrap as a systemd unit, so that a dropped SSH session does not interrupt it, and another run
# with the same text and secrets joins it. Usage: run-step.sh NAME TEXT. Secrets and facts on standard input, one per line:
#   file PATH MODE USER:GROUP BASE64      fact NAME BASE64
# Prints the step's line of proof; on failure, the end of its log (/var/log/kubernetes-from-scratch/NAME.log) on stderr.
set -euo pipefail
umask 077

readonly STEP=$1 LOG=/var/log/kubernetes-from-scratch/$1.log UNIT=kubernetes-from-scratch-step-$1
# shellcheck source=/dev/null
. "${BASH_SOURCE[0]%/*}/library.sh"

# inside: what the unit runs.
inside() {
  trap finish EXIT
  trap 'exit 143' TERM
  say "--- $STEP"
  local kind path mode owner content
  while read -r kind path mode owner content; do
    case $kind in
      file) base64 --decode <<<"$content" | put "$path" "$mode" "$owner" ;;
      fact) printf -v "$path" '%s' "$(base64 --decode <<<"$mode")" ;;
    esac
  done <"$RUNTIME/$STEP.secrets"
  rm -f "$RUNTIME/$STEP.secrets"
  umask 022
  # shellcheck source=/dev/null
  . "$RUNTIME/$STEP.text"
}

finish() {
  local code=$?
  run_on_exit
  rm -rf "$RUNTIME/$STEP.secrets" "${RUNTIME:?}/$STEP"
  echo "$code" >"$RUNTIME/$STEP.result.new"
  mv -fT "$RUNTIME/$STEP.result.new" "$RUNTIME/$STEP.result"
}

running() { case $(systemctl is-active "$UNIT" || :) in active | activating | deactivating) ;; *) return 1 ;; esac; }

# outside: what the SSH session runs.
outside() {
  local text=$1 secrets digest lock polls=0 joined=no code
  mkdir -p "${LOG%/*}"
  secrets=$(mktemp "$RUNTIME/$STEP.XXXXXX")
  # shellcheck disable=SC2064
  trap "rm -f '$text' '$secrets'" EXIT
  cat >"$secrets"
  digest=$(cat "$text" "$secrets" | sha256sum | cut -d ' ' -f 1)

  exec {lock}>"$RUNTIME/$STEP.lock"
  flock "$lock"
  while running; do
    if [ "$(cat "$RUNTIME/$STEP.digest" 2>/dev/null)" = "$digest" ]; then
      joined=yes
      break
    fi
    sleep 0.2 # the same step with a different text, which ends within its own time limit
  done
  if [ "$joined" = no ]; then
    rm -f "$RUNTIME/$STEP.result" "$RUNTIME/$STEP.proof"
    mv -fT "$text" "$RUNTIME/$STEP.text"
    mv -fT "$secrets" "$RUNTIME/$STEP.secrets"
    echo "$digest" >"$RUNTIME/$STEP.digest"
    systemd-run --quiet --collect --unit "$UNIT" --property RuntimeMaxSec=900 --property TimeoutStopSec=10 \
      --property "StandardOutput=append:$LOG" --property "StandardError=append:$LOG" \
      -- bash "$LIBRARY/run-step.sh" "$STEP" --inside
  fi
  exec {lock}>&-

  # polling does not start a process; every 3 s, systemd is asked whether the unit was killed
  until [ -e "$RUNTIME/$STEP.result" ]; do
    ((++polls % 30)) || running || break
    pause 0.1
  done
  code=$(cat "$RUNTIME/$STEP.result" 2>/dev/null || echo killed)
  if [ "$code" = 0 ]; then
    cat "$RUNTIME/$STEP.proof"
  else
    echo "step $STEP on $(hostname) failed ($code); the end of $LOG:" >&2
    tail -n 80 "$LOG" >&2
    exit 1
  fi
}

if [ "${2:-}" = --inside ]; then inside; else outside "$2"; fi
