# shellcheck shell=bash
# Release files: downloaded once, verified against the SHA-256 that their origin publishes, and stored by URL path.
# Input: RELEASES, lines of "name url checksum", where checksum is the URL of the published sums; MIRROR, a base URL or empty.

readonly STORE=$ROOT/var/lib/kubernetes-from-scratch/releases # release files by <host>/<path> of their URL
readonly CARRIED=$ROOT/opt/releases                           # files that came with the machine's image; never written to

# transfer URL PATH: downloads to a temporary name, then renames.
transfer() {
  local url=$1 path=$2 source=$1
  [ -z "${MIRROR:-}" ] || source=$MIRROR/${url#*://}
  (umask 022 && mkdir -p "${path%/*}")
  rm -f "$path.partial"
  curl --fail --silent --show-error --location --connect-timeout 10 --speed-limit 1024 --speed-time 30 \
    --retry 5 --retry-delay 1 --retry-all-errors --output "$path.partial" "$source" \
    || fail "cannot download $source: check the URL, the mirror and the machine's route to it"
  chmod 0755 "$path.partial"
  mv -fT "$path.partial" "$path"
}

# expected_sum URL CHECKSUM: the published SHA-256 of a release file.
expected_sum() {
  local url=$1 checksum=$2 file
  # shellcheck disable=SC2153
  file=$CARRIED/${checksum#*://}
  [ -s "$file" ] || file=$STORE/${checksum#*://}
  [ -s "$file" ] || transfer "$checksum" "$file" >&2
  awk -v name="${url##*/}" 'NF == 1 || $2 == name || $2 == "*" name { print $1; exit }' "$file"
}

# is_verified PATH SUM: the file has this SHA-256. A match is remembered until the file changes or the machine reboots.
is_verified() {
  local path=$1 sum=$2 seen=$RUNTIME/verified/$2 now
  now=$(stat -c '%n %i %s %.9Y %.9Z' "$path" 2>/dev/null) || return 1
  [ "$(cat "$seen" 2>/dev/null)" = "$now" ] && return
  [ "$(sha256sum "$path" | cut -d ' ' -f 1)" = "$sum" ] || return 1
  mkdir -p "${seen%/*}" && printf '%s\n' "$now" >"$seen"
}

# fetch URL CHECKSUM: the release file is present and has the published SHA-256. REPLY: its path.
fetch() {
  local url=$1 checksum=$2 carried=$CARRIED/${1#*://} path=$STORE/${1#*://} sum lock try
  (umask 022 && mkdir -p "${path%/*}")
  exec {lock}>"$RUNTIME/${path//\//_}.lock"
  flock "$lock" # the same file may be downloading in the background
  sum=$(expected_sum "$url" "$checksum")
  if is_verified "$carried" "$sum"; then
    if [ -x "$carried" ]; then path=$carried; else is_verified "$path" "$sum" || install -m 0755 "$carried" "$path"; fi
  fi
  for try in 1 2 3; do
    ! is_verified "$path" "$sum" || break
    [ "$try" = 1 ] || say "$path does not have the published SHA-256 ${sum:-(none in $checksum)}: downloading it again"
    transfer "$url" "$path"
    [ "$try" = 1 ] || rm -f "$STORE/${checksum#*://}" # the damage may be in the sums
    sum=$(expected_sum "$url" "$checksum")
  done
  is_verified "$path" "$sum" || {
    rm -f "$path"
    fail "$url: downloaded three times, never with the published SHA-256 ${sum:-(none in $checksum)}"
  }
  exec {lock}>&-
  REPLY=$path
}

# release NAME: fetches the release file of that name. REPLY: its path.
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

# background UNIT COMMAND...: keeps running after this step has ended. Later steps do not depend on it; it only saves
# them work.
background() {
  local unit=kubernetes-from-scratch-$1
  shift
  systemctl is-active --quiet "$unit" && return
  systemd-run --quiet --collect --unit "$unit" --property RuntimeMaxSec=900 --property Nice=5 \
    --property "StandardOutput=append:/var/log/kubernetes-from-scratch/background.log" \
    --property "StandardError=append:/var/log/kubernetes-from-scratch/background.log" -- "$@"
}
