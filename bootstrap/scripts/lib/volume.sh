# shellcheck shell=bash
# File systems that fill their volume, which may grow while they are in use.

# fill_volume MOUNT GIB: waits until the volume of that file system has that size, and extends partition and file system.
# A container's file system has no volume of its own.
fill_volume() {
  local device type disk number
  read -r device type < <(findmnt --noheadings --output SOURCE,FSTYPE "$1")
  [ -b "$device" ] || { say "$1 is not on a volume"; return 0; }
  disk=$device
  if [ -e "/sys/class/block/${device##*/}/partition" ]; then
    number=$(cat "/sys/class/block/${device##*/}/partition")
    disk=/dev/$(basename "$(readlink -f "/sys/class/block/${device##*/}/..")")
  fi
  # shellcheck disable=SC2317 # wait_for calls it
  has_grown() { (($(blockdev --getsize64 "$disk") >= $2 << 30)); }
  wait_for 60 "$disk has $2 GiB" has_grown "$@"
  [ -z "${number:-}" ] || growpart "$disk" "$number" || [ $? = 1 ] || fail "cannot extend the partition $device" # 1: fills it
  case $type in
    ext4) resize2fs "$device" ;;
    xfs) xfs_growfs "$1" ;;
    *) fail "cannot extend $1, because its file system $type is not known: extend it, or use Debian's image" ;;
  esac
  say "$1 fills $disk"
}
