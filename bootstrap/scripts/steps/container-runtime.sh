# shellcheck shell=bash
# containerd, runc, the CNI plugins and crictl.
# Input: NODE_NAME, CONTAINERD_VERSION, IMAGES (names separated by spaces), RELEASES, MIRROR.

install_binary runc
unpacked crictl crictl
link "$REPLY/crictl" /usr/local/bin/crictl
unpacked containerd bin/containerd bin/containerd-shim-runc-v2 bin/ctr
for binary in containerd containerd-shim-runc-v2 ctr; do link "$REPLY/bin/$binary" "/usr/local/bin/$binary"; done

# CNI plugins are files rather than links, because pods of other pod networks mount this directory
unpacked cni-plugins ./bridge ./host-local ./loopback ./portmap ./firewall
mkdir -p /opt/cni/bin
for plugin in bridge host-local loopback portmap firewall; do
  cmp --silent "$REPLY/$plugin" "/opt/cni/bin/$plugin" && continue
  install -m 0755 "$REPLY/$plugin" "/opt/cni/bin/.$plugin.new" && mv -fT "/opt/cni/bin/.$plugin.new" "/opt/cni/bin/$plugin"
done

# Without CAP_SYS_RESOURCE an oom_score_adj cannot be lowered, and pods would not start
capabilities=$(awk '$1 == "CapBnd:" { print $2 }' /proc/self/status)
restrict=false
(((16#$capabilities >> 24) & 1)) || restrict=true
put /etc/containerd/conf.d/machine.toml 0644 root:root <<END
version = 3

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = $restrict
END

blame containerd.service
converge containerd.service /usr/local/bin/containerd /etc/containerd/config.toml /etc/containerd/conf.d/machine.toml
cri_answers() { [ -S /run/containerd/containerd.sock ] && crictl version; }
wait_for 60 "containerd responds" cri_answers

# Images that every node needs are pulled while other steps run
read -ra pulled <<<"$IMAGES"
# shellcheck disable=SC2016
background images bash -c 'for image; do crictl inspecti --quiet "$image" >/dev/null 2>&1 || crictl pull "$image"; done' - "${pulled[@]}"

proof "containerd $CONTAINERD_VERSION is running on $NODE_NAME"
