# shellcheck shell=bash
# systemd units: starts them, and restarts them if and only if something that they read has changed.

readonly RECORDS=$ROOT/var/lib/kubernetes-from-scratch # what each unit was last started with, by unit name

# fingerprint FILE...: changes when a file changes. Release files are identified by the name that they were verified with.
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

# verdict UNIT FILE...: sets VERDICT to start (it is not running), restart (a file that it reads has changed since it was
# started) or keep.
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

# renewed UNIT INVOCATION: the unit has been restarted since that invocation.
renewed() { unit_state "$1" && [ "$INVOCATION" != "$2" ]; }

# begin UNIT: carries out the verdict on the unit, and records what the unit was started with. It waits only until the
# former process is gone, not until the unit is ready.
begin() {
  local unit=$1 former=$INVOCATION
  [ "$VERDICT" != keep ] || return 0
  [ -L "/etc/systemd/system/multi-user.target.wants/$unit" ] || systemctl enable --quiet --no-reload "$unit"
  [ "$NEEDS_RELOAD" = no ] || systemctl daemon-reload # systemd has loaded an older version of it
  [ "$ACTIVE" != failed ] || systemctl reset-failed "$unit"
  systemctl "$VERDICT" --no-block "$unit"
  [ "$VERDICT" = start ] || wait_for 120 "the former $unit has ended" renewed "$unit" "$former"
  mkdir -p "$RECORDS" && printf '%s\n' "$PRINT" >"$RECORDS/$unit"
  say "$VERDICT $unit"
}

# converge UNIT FILE...: the unit is running with these files as they are now.
converge() {
  verdict "$@"
  begin "$1"
}

# prove UNIT: keeps the unit as it is now, because its service is well with it.
prove() {
  cmp --silent "$ROOT/etc/systemd/system/$1" "$RECORDS/$1.proven" || put "$RECORDS/$1.proven" 0644 root:root <"$ROOT/etc/systemd/system/$1"
}

# is_new UNIT: its service has been well with another version of the unit, but never with this one.
is_new() { [ -e "$RECORDS/$1.proven" ] && ! cmp --silent "$ROOT/etc/systemd/system/$1" "$RECORDS/$1.proven"; }

# put_back UNIT: the version with which its service was well is on the disk again.
put_back() { put "$ROOT/etc/systemd/system/$1" 0644 root:root <"$RECORDS/$1.proven"; }

# new_lines UNIT: the lines that its proven version does not have, in one line.
new_lines() {
  local plain='s/^ *//; s/ \\$//'
  grep --line-regexp --fixed-strings --invert-match --file <(sed "$plain" "$RECORDS/$1.proven") <(sed "$plain" "$ROOT/etc/systemd/system/$1") \
    | paste --serial --delimiters ' '
}

# last_errors UNIT: the last lines in which its service says why it ended.
last_errors() {
  journalctl --unit "$1" --lines 200 --no-pager --output cat | grep -E '^([EF][0-9]{4} |Error|error|panic|fatal)' | tail -n 3
}
