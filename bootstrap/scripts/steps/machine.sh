# shellcheck shell=bash
# Prepares a machine: its name and its neighbours' names, what the kernel must do, and downloads that start early.

# --- the name, and the names of the others (no DNS needed between the machines)
[ "$(hostname)" = "$NODE_NAME" ] || hostnamectl set-hostname "$NODE_NAME"
hosts=$(sed '/^# begin kubernetes-from-scratch$/,/^# end kubernetes-from-scratch$/d' /etc/hosts)
hosts+=$'\n# begin kubernetes-from-scratch\n'$HOST_NAMES$'\n# end kubernetes-from-scratch'
if [ "$hosts" != "$(cat /etc/hosts)" ]; then
  printf '%s\n' "$hosts" >/etc/hosts.new
  chmod 0644 /etc/hosts.new
  mv -fT /etc/hosts.new /etc/hosts 2>/dev/null || { cat /etc/hosts.new >/etc/hosts && rm /etc/hosts.new; } # a mount point cannot be renamed over
fi

# --- packages: an image has most of them; only what is missing is installed
missing=()
while read -r command package; do
  command -v "$command" >/dev/null || missing+=("$package")
done <<<"$PACKAGES"
if [ ${#missing[@]} != 0 ]; then
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  for try in {1..20}; do # a machine's own first update may hold the lock
    apt-get update --quiet && apt-get install --yes --quiet --no-install-recommends \
      --option DPkg::Lock::Timeout=300 "${missing[@]}" && break
    [ "$try" != 20 ] || fail "cannot install ${missing[*]}: the Debian archive does not answer; look at the machine's way out to it"
    sleep 5
  done
fi

# --- downloads of the later steps start now
background prefetch bash /usr/local/lib/kubernetes-from-scratch/prefetch.sh "${MIRROR:-}"

container=no
! systemd-detect-virt --quiet --container || container=yes

# --- the kernel: modules, settings, no swap
if [ "$NODE_ROLE" != balancer ]; then
  while read -r module proof; do
    [ -e "$proof" ] || modprobe "$module" 2>/dev/null || :
    [ -e "$proof" ] || fail "the kernel has no module $module ($proof is missing): take an image whose kernel has it"
  done <<<"$(printf '%s\n' 'overlay /sys/module/overlay' 'br_netfilter /proc/sys/net/bridge')"
  modprobe nf_conntrack 2>/dev/null || :
  while IFS=' =' read -r key value; do
    [[ $key =~ ^[a-z] ]] || continue
    [[ $key == net.* || $container = no ]] || continue # the host's to set, not a container's
    [ "$(sysctl --values "$key" 2>/dev/null)" = "$value" ] || sysctl --quiet --write "$key=$value" 2>/dev/null \
      || say "$key stays $(sysctl --values "$key" 2>/dev/null || echo absent): not this machine's to set"
  done </etc/sysctl.d/99-kubernetes.conf
  for key in net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables; do
    [ "$(sysctl --values "$key")" = 1 ] || fail "$key is not 1: pods could not reach each other"
  done
  ! systemctl is-active --quiet systemd-logind || systemctl kill --signal=HUP --kill-whom=main systemd-logind # reads its delay
  if [ "$(wc -l </proc/swaps)" -gt 1 ]; then
    swapoff --all || say "swap belongs to the host of this machine"
    sed -i '/^[^#].*[[:space:]]swap[[:space:]]/s/^/# kubernetes-from-scratch: /' /etc/fstab
  fi
fi

# --- the clock: certificates, leases and tokens need it; a container has its host's
if [ "$container" = no ]; then
  timedatectl set-ntp true
  systemctl try-restart systemd-timesyncd.service 2>/dev/null || : # it reads whom to ask; chrony knows
  synchronized() { [ "$(timedatectl show --property NTPSynchronized --value)" = yes ]; }
  wait_for 60 "the clock is synchronized" synchronized
fi

# --- users of the services
if [ "$NODE_ROLE" = control-plane ]; then
  id etcd >/dev/null 2>&1 || useradd --system --no-create-home --home-dir /var/lib/etcd --shell /usr/sbin/nologin etcd
fi

proof "machine $NODE_NAME prepared"
