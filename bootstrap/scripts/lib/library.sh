# shellcheck shell=bash
# What all steps of the bootstrap share: logging, waiting, files. The first step installs it on the machine, and
# run-step.sh sources it. A step may run any number of times and be killed at any line, so each function looks at what is
# there before it acts. Input: STEP, the name of the step; ROOT, a directory that replaces / in tests.

readonly RUNTIME=${ROOT:=}/run/kubernetes-from-scratch # state of running steps; gone after a reboot
readonly LIBRARY=${BASH_SOURCE[0]%/*}

say() { printf '%(%H:%M:%S)T.%.3s %s\n' -1 "${EPOCHREALTIME#*[.,]}" "$*"; }

# blame UNIT...: the units whose journals would explain a failure from here on.
blame() { BLAME=("$@"); }
BLAME=()

# advise COMMAND: it prints what the user can do about a failure from here on.
advise() { ADVICE=("$@"); }
ADVICE=()

# fail MESSAGE: ends the step. Its log, the end of which is shown to the user, ends with the journals of the blamed units.
fail() {
  local unit
  for unit in "${BLAME[@]}"; do
    say "journalctl -u $unit -n 50:"
    journalctl --unit "$unit" --lines 50 --no-pager --output cat || :
  done
  say "error: $*"
  "${ADVICE[@]}"
  exit 1
}

# proof LINE: the one line that the step prints. It must be the same on every run that finds the same state.
proof() { printf '%s\n' "$*" >"$RUNTIME/$STEP.proof"; say "$*"; }

# pause SECONDS: sleeps without starting a process, by reading from a pipe that nobody writes to.
exec {NEVER}<> <(:)
pause() { read -rt "$1" -u "$NEVER" || :; }

# restarts: how often systemd has restarted the blamed units by itself.
restarts() { systemctl show --property NRestarts --value "${BLAME[@]}" | awk '{ sum += $1 } END { print sum + 0 }'; }

# wait_for SECONDS WHAT COMMAND...: polls until the command succeeds. The step fails after that time, with what the command
# printed last, or as soon as a blamed unit keeps crashing.
wait_for() {
  local seconds=$1 what=$2 end=$((SECONDS + $1)) polls=0 restarts before="" printed=$RUNTIME/$STEP.printed
  shift 2
  (umask 077 && : >"$printed")
  until "$@" >"$printed" 2>&1; do
    ((SECONDS < end)) || {
      tail -n 5 "$printed"
      fail "timed out after $seconds s waiting until $what (last tried: $*)"
    }
    if ((${#BLAME[@]} > 0 && polls++ % 25 == 0)); then
      restarts=$(restarts)
      ((restarts - ${before:=$restarts} < 10)) || fail "gave up waiting until $what: ${BLAME[*]} restarted ten times in the meantime"
    fi
    pause 0.2
  done
  say "$what"
}

# on_exit COMMAND: runs when the step ends, unless it ends by SIGKILL.
ON_EXIT=()
on_exit() { ON_EXIT+=("$1"); }
run_on_exit() { local command; for command in "${ON_EXIT[@]}"; do eval "$command" || :; done; }

# put PATH MODE USER:GROUP <content: readers see the old file or the complete new one, never with wider permissions.
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

# outside_block FILE LINES: the lines of a file that others write as well, without the block that a step keeps there. A block
# without its end is taken to have only lines whose second word is in LINES, the block's lines.
outside_block() {
  OWN=$2 awk '
    BEGIN { split(ENVIRON["OWN"], words); for (i in words) own[words[i]] }
    /^# (begin|end) kubernetes-from-scratch$/ { if ($2 == "begin") printf "%s", rest; rest = ""; inside = $2 == "begin"; next }
    !inside { print }
    inside && !($2 in own) { rest = rest $0 "\n" }
    END { printf "%s", rest }' "$1"
}

# link TARGET NAME: a symbolic link, replaced atomically.
link() {
  [ "$(readlink "$2")" = "$1" ] && return
  ln -sfT "$1" "$2.new" && mv -fT "$2.new" "$2"
}

for part in releases units cluster volume; do
  # shellcheck source=/dev/null
  . "$LIBRARY/$part.sh"
done
