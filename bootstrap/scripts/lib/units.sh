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
