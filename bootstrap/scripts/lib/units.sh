# shellcheck shell=bash
# Units of systemd: started, and started again when, and only when, something that they read has changed.

readonly RECORDS=/var/lib/kubernetes-from-scratch # what each unit was last started with, by the unit's name

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
