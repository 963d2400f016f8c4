# shellcheck shell=bash
# A web server at the address of EC2's metadata service, behind the machine's own router, as on EC2.
set -euo pipefail
ip netns add metadata
ip link add metadata0 type veth peer name eth0 netns metadata
ip address add 169.254.169.1/24 dev metadata0
ip link set metadata0 up
ip -n metadata address add 169.254.169.254/24 dev eth0
ip -n metadata link set eth0 up
ip -n metadata route add default via 169.254.169.1
systemd-run --quiet --unit metadata ip netns exec metadata python3 -m http.server 80
for _ in {1..50}; do
  ! curl --silent --fail --output /dev/null http://169.254.169.254/ || exit 0
  sleep 0.1
done
exit 1
