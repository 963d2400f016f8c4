# shellcheck shell=bash
# Prepares a machine: its name, its neighbours' names, packages, kernel settings, and early downloads.
# Input: NODE_NAME; NODE_ROLE; HOST_NAMES, lines for /etc/hosts; PACKAGES, lines of "command package"; MIRROR;
# ROOT_VOLUME_GIB; SSH_USER and AUTHORIZED_KEYS, the public keys with which that user may log in, one per line.

# --- the name, and the names of the others (machines do not need DNS to find each other)
[ "$(hostname)" = "$NODE_NAME" ] || hostnamectl set-hostname "$NODE_NAME"
hosts=$(outside_block /etc/hosts "$HOST_NAMES")
hosts+=$'\n# begin kubernetes-from-scratch\n'$HOST_NAMES$'\n# end kubernetes-from-scratch'
if [ "$hosts" != "$(cat /etc/hosts)" ]; then
  printf '%s\n' "$hosts" >/etc/hosts.new
  chmod 0644 /etc/hosts.new
  sync /etc/hosts.new
  # a mount point cannot be replaced; it is overwritten without being emptied first, because the disk may be full
  mv -fT /etc/hosts.new /etc/hosts 2>/dev/null || {
    cat /etc/hosts.new 1<>/etc/hosts
    truncate --size "$(stat --format %s /etc/hosts.new)" /etc/hosts
    rm /etc/hosts.new
  }
fi

# --- SSH keys: in a block of their own, so that keys which were added by hand stay
authorized=$(getent passwd "$SSH_USER" | cut -d : -f 6)/.ssh/authorized_keys
{
  outside_block "$authorized" "$AUTHORIZED_KEYS" | awk 'NR == FNR { managed[$2]; next } !($2 in managed)' <(printf '%s\n' "$AUTHORIZED_KEYS") -
  printf '%s\n%s\n%s\n' '# begin kubernetes-from-scratch' "${AUTHORIZED_KEYS%$'\n'}" '# end kubernetes-from-scratch'
} | put "$authorized" 0600 "$(stat --format %U:%G "$authorized")"

# --- packages: an image has most of them, and only the missing ones are installed
missing=()
while read -r command package; do
  command -v "$command" >/dev/null || missing+=("$package")
done <<<"$PACKAGES"
if [ ${#missing[@]} != 0 ]; then
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  for try in {1..20}; do # the machine's own first update may hold the lock
    apt-get update --quiet && apt-get install --yes --quiet --no-install-recommends \
      --option DPkg::Lock::Timeout=300 "${missing[@]}" && break
    [ "$try" != 20 ] || fail "cannot install ${missing[*]}: the Debian archive is not reachable; check the machine's route to it"
    sleep 5
  done
fi

# --- the root file system fills its volume, which may have grown since the boot
fill_volume / "$ROOT_VOLUME_GIB"

# --- downloads for the later steps start now
background prefetch bash "$LIBRARY/prefetch.sh" "${MIRROR:-}"

container=no
! systemd-detect-virt --quiet --container || container=yes

# --- the kernel: modules, settings, no swap
if [ "$NODE_ROLE" != balancer ]; then
  while read -r module evidence; do
    [ -e "$evidence" ] || modprobe "$module" 2>/dev/null || :
    [ -e "$evidence" ] || fail "the kernel does not have the module $module ($evidence is missing): use an image whose kernel has it"
  done <<<"$(printf '%s\n' 'overlay /sys/module/overlay' 'br_netfilter /proc/sys/net/bridge')"
  modprobe nf_conntrack 2>/dev/null || :
  while IFS=' =' read -r key value; do
    [[ $key =~ ^[a-z] ]] || continue
    [[ $key == net.* || $container = no ]] || continue # these belong to the host of a container
    [ "$(sysctl --values "$key" 2>/dev/null)" = "$value" ] || sysctl --quiet --write "$key=$value" 2>/dev/null \
      || say "$key stays $(sysctl --values "$key" 2>/dev/null || echo unset): this machine cannot set it"
  done </etc/sysctl.d/99-kubernetes.conf
  for key in net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables; do
    [ "$(sysctl --values "$key")" = 1 ] || fail "$key is not 1: pods could not reach each other"
  done
  ! systemctl is-active --quiet systemd-logind || systemctl kill --signal=HUP --kill-whom=main systemd-logind # makes it read its new shutdown delay
  if [ "$(wc -l </proc/swaps)" -gt 1 ]; then
    swapoff --all || say "swap belongs to the host of this machine"
    sed -i '/^[^#].*[[:space:]]swap[[:space:]]/s/^/# kubernetes-from-scratch: /' /etc/fstab
  fi
fi

# --- the clock, on which certificates, leases and tokens depend; a container uses its host's
if [ "$container" = no ]; then
  timedatectl set-ntp true
  systemctl try-restart systemd-timesyncd.service 2>/dev/null || : # to read its list of servers; chrony has one already
  synchronized() { [ "$(timedatectl show --property NTPSynchronized --value)" = yes ]; }
  wait_for 60 "the clock is synchronized" synchronized
fi

# --- users of the services
if [ "$NODE_ROLE" = control-plane ]; then
  id etcd >/dev/null 2>&1 || useradd --system --no-create-home --home-dir /var/lib/etcd --shell /usr/sbin/nologin etcd
fi

proof "machine $NODE_NAME is prepared"
