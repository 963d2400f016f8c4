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

# A unit and the configuration files of its service, as they were when the service was last well with them, are kept as
# proven. All files are absolute paths below ROOT, and each has a name of its own.

# unit_path UNIT: where it is.
unit_path() { echo "/etc/systemd/system/$1"; }

# proven_copy UNIT FILE: where the proven version of one of its files is. That of the unit itself is beside the others.
proven_copy() { if [ "$2" = "$(unit_path "$1")" ]; then echo "$RECORDS/$1.proven"; else echo "$RECORDS/$1.files/${2##*/}"; fi; }

# prove UNIT FILE...: keeps them as they are now, because the service is well with them.
prove() {
  local unit=$1 file copy mode
  shift
  for file in "$(unit_path "$unit")" "$@"; do
    copy=$(proven_copy "$unit" "$file")
    mode=$(stat --format %a "$ROOT$file")
    cmp --silent "$ROOT$file" "$copy" || put "$copy" "$mode" root:root <"$ROOT$file"
  done
}

# is_new UNIT FILE...: the service has been well with other versions of these, but never with the present ones.
is_new() {
  local unit=$1 file copy
  [ -e "$RECORDS/$unit.proven" ] || return 1
  shift
  for file in "$(unit_path "$unit")" "$@"; do
    copy=$(proven_copy "$unit" "$file")
    [ ! -e "$copy" ] || cmp --silent "$ROOT$file" "$copy" || return 0
  done
  return 1
}

# put_back UNIT FILE...: the versions with which its service was well are on the disk again.
put_back() {
  local unit=$1 file copy
  shift
  for file in "$(unit_path "$unit")" "$@"; do
    copy=$(proven_copy "$unit" "$file")
    [ ! -e "$copy" ] || put "$ROOT$file" "$(stat --format %a "$ROOT$file")" root:root <"$copy"
  done
}

# new_lines UNIT FILE...: the lines that their proven versions do not have, in one line.
new_lines() {
  local unit=$1 file copy plain='s/^ *//; s/ \\$//'
  shift
  for file in "$(unit_path "$unit")" "$@"; do
    copy=$(proven_copy "$unit" "$file")
    [ ! -e "$copy" ] || grep --line-regexp --fixed-strings --invert-match --file <(sed "$plain" "$copy") <(sed "$plain" "$ROOT$file") || :
  done | paste --serial --delimiters ' '
}

# run_proven FILES SETTINGS COMMAND...: the service runs with the proven versions again, and the command finds it well. FILES is
# the name of an array, a unit and all files that it reads; SETTINGS is that of its configuration files.
run_proven() {
  local -n service=$1 settings=$2
  shift 2
  put_back "${service[0]}" "${settings[@]}"
  verdict "${service[@]}"
  begin "${service[0]}"
  blame
  wait_for 120 "${service[0]%.service} is well with its former configuration" "$@"
}

# prove_or_take_back SECONDS KEYS FILES SETTINGS COMMAND...: the service that has begun becomes well within that time, or the
# step fails. If only its configuration is new, it gets the proven one back before. KEYS are those of the cluster's
# configuration that can be at fault.
prove_or_take_back() {
  local seconds=$1 keys=$2 lines errors unit
  local -n its_files=$3 its_settings=$4
  local names=("$3" "$4")
  shift 4
  unit=${its_files[0]}
  if is_new "$unit" "${its_settings[@]}" && ! proves_well "$seconds" "$unit" "$@"; then
    lines=$(new_lines "$unit" "${its_settings[@]}")
    errors=$(last_errors "$unit")
    run_proven "${names[@]}" "$@"
    printf '%s\n' "the last errors of ${unit%.service}:" "$errors"
    fail "${unit%.service} on $NODE_NAME does not come up with ${lines:-its new configuration}. It runs with its former one again. Correct $keys and run this again"
  fi
  wait_for "$seconds" "${unit%.service} is well" "$@"
  prove "$unit" "${its_settings[@]}"
}

# last_errors UNIT: the last lines in which its service says why it ended.
last_errors() {
  journalctl --unit "$1" --lines 200 --no-pager --output cat | grep -E '^([EF][0-9]{4} |Error|error|panic|fatal)' | tail -n 3
}
