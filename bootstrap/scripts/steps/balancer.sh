# shellcheck shell=bash
# HAProxy in front of the API servers, as in the series.

[ "$(readlink -f /etc/haproxy/haproxy.cfg)" = /etc/haproxy/kubernetes.cfg ] || link /etc/haproxy/kubernetes.cfg /etc/haproxy/haproxy.cfg
haproxy -c -q -f /etc/haproxy/kubernetes.cfg || fail "HAProxy refuses /etc/haproxy/kubernetes.cfg"
blame haproxy.service
systemctl enable --quiet haproxy.service
print=$(fingerprint /etc/haproxy/kubernetes.cfg /etc/haproxy/kubernetes-ca.pem)
if ! systemctl is-active --quiet haproxy.service; then
  systemctl restart haproxy.service
elif [ "$(cat "$RECORDS/haproxy.service" 2>/dev/null)" != "$print" ]; then
  systemctl reload haproxy.service # connections go on
fi
mkdir -p "$RECORDS" && printf '%s\n' "$print" >"$RECORDS/haproxy.service"
wait_for 20 "HAProxy listens" port_open 127.0.0.1 6443

proof "HAProxy passes TCP 6443 to $(grep -c '^  server ' /etc/haproxy/kubernetes.cfg) API servers"
