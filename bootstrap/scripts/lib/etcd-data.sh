# shellcheck shell=bash
# The data of etcd on this machine: whether there was any, snapshots of it, and former data that is kept for a while.

readonly ETCD_DATA=$ROOT/var/lib/etcd
readonly SNAPSHOTS=$ROOT/var/lib/kubernetes-from-scratch/snapshots
readonly HAD_DATA=$ROOT/var/lib/kubernetes-from-scratch/etcd-had-data
readonly LOSE_DATA=$ROOT/run/kubernetes-from-scratch/lose-data # put there by LOSE_DATA=yes make up

# has_lost_data: etcd on this machine was once part of a cluster with a quorum, and its data is gone. An API server is only
# started after that, so its record says the same about a machine on which an earlier release ran.
has_lost_data() {
  [ ! -d "$ETCD_DATA/member/wal" ] && [ ! -e "$LOSE_DATA" ] \
    && { [ -e "$HAD_DATA" ] || [ -e "$ROOT/var/lib/kubernetes-from-scratch/kube-apiserver.service" ]; }
}

# kept PATTERN COUNT: removes all but the newest of the files or directories whose names match; the names contain the time.
kept() {
  local found
  mapfile -t found < <(compgen -G "$1" | sort -r || :)
  rm -rf -- "${found[@]:$2}"
}

# set_aside: keeps the data of etcd, which is not running, under another name, like the data set aside before that.
set_aside() {
  [ -d "$ETCD_DATA" ] || return 0
  local name
  name=$ETCD_DATA.before-$(date -u +%Y%m%dT%H%M%SZ)
  mv -T "$ETCD_DATA" "$name"
  kept "$ETCD_DATA.before-*" 2
  echo "the former data of etcd is now in $name"
}

# how_to_restore: what to type to bring the data back, with the newest snapshot on this machine.
how_to_restore() {
  local newest tool=$LIBRARY/restore-etcd.sh
  newest=$(compgen -G "$SNAPSHOTS/*.db" | sort | tail -n 1 || :)
  if [ -n "$newest" ]; then
    echo "The newest snapshot on this machine is $newest. To restore it on all control-plane machines:
    make restore STACK=<stack> SNAPSHOT=$NODE_NAME:$newest"
  else
    echo "There is no snapshot on this machine. To restore one from another place on all control-plane machines:
    make restore STACK=<stack> SNAPSHOT=<file>"
  fi
  echo "  Without make: sudo $tool <file> on each of them, with the same file, and then on each what it prints."
}
