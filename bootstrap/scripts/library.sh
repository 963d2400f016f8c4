# shellcheck shell=bash
# Functions that every step of the bootstrap shares; installed on the machine by the first step, sourced by run-step.sh.
# A step may run any number of times and be killed at any line: each function looks at what is there before it acts.

readonly RECORDS=/var/lib/kubernetes-from-scratch     # what a unit was last started with
readonly STORE=$RECORDS/releases                      # release files by <host>/<path> of their URL
readonly CARRIED=/opt/releases                        # the same, where the machine's image carries files; never written to
readonly RUNTIME=/run/kubernetes-from-scratch         # gone with a reboot
readonly PKI=/etc/kubernetes/pki

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

# wait_for SECONDS WHAT COMMAND...: polls until the command succeeds. Past the bound, or when a blamed unit ends again and
# again, the step fails.
wait_for() {
  local seconds=$1 what=$2 end=$((SECONDS + $1)) polls=0 unit
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || fail "$what: not so after $seconds s (last tried: $*)"
    if ((++polls % 25 == 0)); then
      for unit in "${BLAME[@]}"; do
        (($(systemctl show --property NRestarts --value "$unit") < 10)) || fail "$what: $unit has ended ten times"
      done
    fi
    pause 0.2
  done
  say "$what"
}

# on_exit COMMAND: runs when the step ends, whatever way short of SIGKILL.
ON_EXIT=()
on_exit() { ON_EXIT+=("$1"); }
run_on_exit() { local command; for command in "${ON_EXIT[@]}"; do eval "$command" || :; done; }

# --- files -----------------------------------------------------------------------------------------------------------

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

# --- releases --------------------------------------------------------------------------------------------------------

# transfer URL PATH: downloads to a temporary name, then renames.
transfer() {
  local url=$1 path=$2 source=$1
  [ -z "${MIRROR:-}" ] || source=$MIRROR/${url#*://}
  (umask 022 && mkdir -p "${path%/*}")
  rm -f "$path.partial"
  curl --fail --silent --show-error --location --connect-timeout 10 --speed-limit 1024 --speed-time 30 \
    --retry 5 --retry-delay 1 --retry-all-errors --output "$path.partial" "$source" \
    || fail "cannot download $source: look at the address, at the mirror and at the machine's way out"
  chmod 0755 "$path.partial"
  mv -fT "$path.partial" "$path"
}

# expected_sum URL CHECKSUM: the SHA-256 of a release file; CHECKSUM is the sum itself or the URL of the published one.
expected_sum() {
  local url=$1 checksum=$2 file
  if [[ $checksum =~ ^[0-9a-f]{64}$ ]]; then
    echo "$checksum"
    return
  fi
  file=$CARRIED/${checksum#*://}
  [ -s "$file" ] || file=$STORE/${checksum#*://}
  [ -s "$file" ] || transfer "$checksum" "$file" >&2
  awk -v name="${url##*/}" 'NF == 1 || $2 == name || $2 == "*" name { print $1; exit }' "$file"
}

# is_verified PATH SUM: the file has this SHA-256. Found once, it is remembered until the file or the boot changes.
is_verified() {
  local path=$1 sum=$2 seen=$RUNTIME/verified/$2 now
  now=$(stat -c '%n %i %s %Y %Z' "$path" 2>/dev/null) || return 1
  [ "$(cat "$seen" 2>/dev/null)" = "$now" ] && return
  [ "$(sha256sum "$path" | cut -d ' ' -f 1)" = "$sum" ] || return 1
  mkdir -p "${seen%/*}" && printf '%s\n' "$now" >"$seen"
}

# fetch URL CHECKSUM: the release file is here and has the SHA-256 that was published. REPLY: its path.
fetch() {
  local url=$1 checksum=$2 carried=$CARRIED/${1#*://} path=$STORE/${1#*://} sum lock try
  (umask 022 && mkdir -p "${path%/*}")
  exec {lock}>"$RUNTIME/${path//\//_}.lock"
  flock "$lock" # the background download of the same file may be under way
  sum=$(expected_sum "$url" "$checksum")
  if is_verified "$carried" "$sum"; then
    if [ -x "$carried" ]; then path=$carried; else is_verified "$path" "$sum" || install -m 0755 "$carried" "$path"; fi
  fi
  for try in 1 2 3; do
    ! is_verified "$path" "$sum" || break
    [ "$try" = 1 ] || say "$path does not have the published SHA-256 ${sum:-(none in $checksum)}: downloading it again"
    transfer "$url" "$path"
    [ "$try" = 1 ] || [[ $checksum =~ ^[0-9a-f]{64}$ ]] || rm -f "$STORE/${checksum#*://}" # it may be the sums that are broken
    sum=$(expected_sum "$url" "$checksum")
  done
  is_verified "$path" "$sum" || {
    rm -f "$path"
    fail "$url: three downloads, none with the published SHA-256 ${sum:-(none in $checksum)}"
  }
  exec {lock}>&-
  REPLY=$path
}

# release NAME: what RELEASES (lines of "name url checksum") says of it, fetched. REPLY: path of the file.
release() {
  local name url checksum
  while read -r name url checksum; do
    [ "$name" != "$1" ] || { fetch "$url" "$checksum"; return; }
  done <<<"$RELEASES"
  fail "no release named $1 among: $RELEASES"
}

# unpacked NAME: the archive of that release, unpacked beside it and checked file by file. REPLY: the directory.
unpacked() {
  release "$1"
  local archive=$REPLY directory=$STORE/${REPLY#*/releases/}.unpacked new
  new=${directory%ed}ing
  if ! (cd "$directory" 2>/dev/null && sha256sum --check --status .sha256sums); then
    rm -rf "$new" "$directory"
    (umask 022 && mkdir -p "$new" && tar --extract --gzip --no-same-owner --file "$archive" --directory "$new" "${@:2}")
    (cd "$new" && find . -type f -print0 | xargs -0 sha256sum >"$new.sums" && mv "$new.sums" .sha256sums)
    mv -T "$new" "$directory"
  fi
  REPLY=$directory
}

# install_binary NAME...: /usr/local/bin/NAME is the release of that name.
install_binary() {
  local name
  for name; do
    release "$name"
    link "$REPLY" "/usr/local/bin/$name"
  done
}

# background UNIT COMMAND...: goes on when this step has ended; later steps do not depend on it, they only find work done.
background() {
  local unit=kubernetes-from-scratch-$1
  shift
  systemctl is-active --quiet "$unit" && return
  systemd-run --quiet --collect --unit "$unit" --property RuntimeMaxSec=900 --property Nice=5 \
    --property "StandardOutput=append:/var/log/kubernetes-from-scratch/background.log" \
    --property "StandardError=append:/var/log/kubernetes-from-scratch/background.log" -- "$@"
}

# --- units -----------------------------------------------------------------------------------------------------------

# fingerprint FILE...: changes when a file changes. Release files are told by name: they were verified under it.
fingerprint() {
  local file real files=()
  {
    for file; do
      real=$(readlink "$file") || real=
      case $real in
        "$STORE"/* | "$CARRIED"/*) echo "$real" ;;
        *) [ -e "$file" ] && files+=("$file") ;;
      esac
    done
    sha256sum "${files[@]}"
  } | sha256sum | cut -d ' ' -f 1
}

# unit_state UNIT: sets ACTIVE (active, activating, inactive, failed, ...), INVOCATION and NEEDS_RELOAD.
unit_state() {
  local name value
  while IFS='=' read -r name value; do
    case $name in
      ActiveState) ACTIVE=$value ;;
      InvocationID) INVOCATION=$value ;;
      NeedDaemonReload) NEEDS_RELOAD=$value ;;
    esac
  done < <(systemctl show --property ActiveState,InvocationID,NeedDaemonReload "$1")
}

# verdict UNIT FILE...: sets VERDICT to start (it does not run), restart (a file that it reads has changed since its
# start) or keep.
verdict() {
  local unit=$1
  shift
  unit_state "$unit"
  PRINT=$(fingerprint "/etc/systemd/system/$unit" "$@")
  case $ACTIVE in
    active | activating | reloading) if [ "$(cat "$RECORDS/$unit" 2>/dev/null)" = "$PRINT" ]; then VERDICT=keep; else VERDICT=restart; fi ;;
    *) VERDICT=start ;;
  esac
}

# renewed UNIT INVOCATION: the unit has been started again since that invocation.
renewed() { unit_state "$1" && [ "$INVOCATION" != "$2" ]; }

# begin UNIT: does as the verdict on the unit was, and records what the unit was started with. Does not wait until it is
# ready, only until the former process is gone.
begin() {
  local unit=$1 former=$INVOCATION
  [ "$VERDICT" != keep ] || return 0
  [ -L "/etc/systemd/system/multi-user.target.wants/$unit" ] || systemctl enable --quiet --no-reload "$unit"
  [ "$NEEDS_RELOAD" = no ] || systemctl daemon-reload # systemd has an older text of it
  [ "$ACTIVE" != failed ] || systemctl reset-failed "$unit"
  systemctl "$VERDICT" --no-block "$unit"
  [ "$VERDICT" = start ] || wait_for 120 "the former $unit has ended" renewed "$unit" "$former"
  mkdir -p "$RECORDS" && printf '%s\n' "$PRINT" >"$RECORDS/$unit"
  say "$VERDICT $unit"
}

# converge UNIT FILE...: the unit runs, with these files as they are now.
converge() {
  verdict "$@"
  begin "$1"
}

# --- the cluster, as a machine sees it -------------------------------------------------------------------------------

port_open() { (: <"/dev/tcp/$1/$2") 2>/dev/null; }

# api_ready HOST: the API server there says that it is ready.
api_ready() {
  port_open "$1" 6443 && curl --silent --fail --max-time 3 --output /dev/null --cacert "$PKI/kubernetes-ca.pem" "https://$1:6443/readyz"
}

export ETCDCTL_CACERT=/etc/etcd/etcd-ca.pem ETCDCTL_CERT=/etc/etcd/etcd.pem ETCDCTL_KEY=/etc/etcd/etcd-key.pem

# etcd_healthy ADDRESS: the member there answers and sees a quorum.
etcd_healthy() { port_open "$1" 2379 && etcdctl --endpoints "https://$1:2379" --command-timeout 4s endpoint health; }

# other_controllers: the private addresses of CONTROLLERS (lines of "name address") except this machine's own.
other_controllers() { awk -v self="$NODE_NAME" '$1 != self { print $2 }' <<<"$CONTROLLERS"; }

etcd_endpoints() { awk '{ printf "%shttps://%s:2379", (NR > 1 ? "," : ""), $2 }' <<<"$CONTROLLERS"; }

# take_turn: one control-plane machine restarts at a time. The lock's lease runs out 30 s after its holder died.
take_turn() {
  [ -n "$(other_controllers)" ] || return 0
  local key
  coproc TURN { exec etcdctl --endpoints "$(etcd_endpoints)" --command-timeout 600s lock --ttl 30 kubernetes-from-scratch/restart; }
  TURN_PROCESS=$TURN_PID
  read -r -t 600 -u "${TURN[0]}" key || fail "no turn to restart within 600 s: another control-plane machine holds the lock"
  say "holding $key"
}

give_turn() {
  [ -n "${TURN_PROCESS:-}" ] || return 0
  kill "$TURN_PROCESS" 2>/dev/null || :
  wait "$TURN_PROCESS" 2>/dev/null || :
  TURN_PROCESS=
}
