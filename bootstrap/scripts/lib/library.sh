# shellcheck shell=bash
# What every step of the bootstrap shares: words for the log, waits, files. Installed on the machine by the first step,
# sourced by run-step.sh. A step may run any number of times and be killed at any line: each function looks at what is
# there before it acts.

readonly RUNTIME=/run/kubernetes-from-scratch # gone with a reboot

say() { printf '%(%H:%M:%S)T.%.3s %s\n' -1 "${EPOCHREALTIME#*[.,]}" "$*"; }

# blame UNIT...: whose journal explains it when the step fails from here on.
blame() { BLAME=("$@"); }
BLAME=()

# fail MESSAGE: ends the step; its log, whose end the user sees, ends with what the blamed units said last.
fail() {
  local unit
  for unit in "${BLAME[@]}"; do
    say "journalctl -u $unit -n 50:"
    journalctl --unit "$unit" --lines 50 --no-pager --output cat || :
  done
  say "error: $*"
  exit 1
}

# proof LINE: the one line that the step prints; the same on every run that finds the same state.
proof() { printf '%s\n' "$*" >"$RUNTIME/$STEP.proof"; say "$*"; }

# pause SECONDS: sleeps without starting a process; nobody ever writes to the descriptor.
exec {NEVER}<> <(:)
pause() { read -rt "$1" -u "$NEVER" || :; }

# restarts: how often systemd has started the blamed units again by itself.
restarts() { systemctl show --property NRestarts --value "${BLAME[@]}" | awk '{ sum += $1 } END { print sum + 0 }'; }

# wait_for SECONDS WHAT COMMAND...: polls until the command succeeds. Past the bound, or when a blamed unit ends again and
# again, the step fails.
wait_for() {
  local seconds=$1 what=$2 end=$((SECONDS + $1)) polls=0 ended before=
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || fail "$what: not so after $seconds s (last tried: $*)"
    if ((${#BLAME[@]} > 0 && polls++ % 25 == 0)); then
      ended=$(restarts)
      ((ended - ${before:=$ended} < 10)) || fail "$what: ${BLAME[*]} ended ten times meanwhile"
    fi
    pause 0.2
  done
  say "$what"
}

# on_exit COMMAND: runs when the step ends, whatever way short of SIGKILL.
ON_EXIT=()
on_exit() { ON_EXIT+=("$1"); }
run_on_exit() { local command; for command in "${ON_EXIT[@]}"; do eval "$command" || :; done; }

# put PATH MODE USER:GROUP <content: readers see the old file or the whole new one, and never with wider permissions.
put() {
  local path=$1 mode=$2 owner=$3 new=${1%/*}/.${1##*/}.$BASHPID
  [ -d "${path%/*}" ] || (umask 022 && mkdir -p "${path%/*}")
  install -m "$mode" -o "${owner%:*}" -g "${owner#*:}" /dev/stdin "$new"
  if cmp --silent "$new" "$path" && [ "$(stat -c '%a %U:%G' "$new" "$path" | uniq | wc -l)" = 1 ]; then
    rm -f "$new"
  else
    mv -fT "$new" "$path"
    say "wrote $path"
  fi
}

# link TARGET NAME: a symbolic link, replaced in one go.
link() {
  [ "$(readlink "$2")" = "$1" ] && return
  ln -sfT "$1" "$2.new" && mv -fT "$2.new" "$2"
}

for part in releases units cluster; do
  # shellcheck source=/dev/null
  . "${BASH_SOURCE[0]%/*}/$part.sh"
done
