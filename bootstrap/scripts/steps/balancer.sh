# shellcheck shell=bash
# HAProxy in front of the API servers, as in the series.
# Input: only files, /etc/haproxy/kubernetes.cfg and kubernetes-ca.pem.

[ "$(readlink -f /etc/haproxy/haproxy.cfg)" = /etc/haproxy/kubernetes.cfg ] || link /etc/haproxy/kubernetes.cfg /etc/haproxy/haproxy.cfg
haproxy -c -q -f /etc/haproxy/kubernetes.cfg || fail "HAProxy rejects /etc/haproxy/kubernetes.cfg"
blame haproxy.service
systemctl enable --quiet haproxy.service
print=$(fingerprint /etc/haproxy/kubernetes.cfg /etc/haproxy/kubernetes-ca.pem)
if ! systemctl is-active --quiet haproxy.service; then
  systemctl restart haproxy.service
elif [ "$(cat "$RECORDS/haproxy.service" 2>/dev/null)" != "$print" ]; then
  systemctl reload haproxy.service # keeps open connections
fi
mkdir -p "$RECORDS" && printf '%s\n' "$print" >"$RECORDS/haproxy.service"
wait_for 20 "HAProxy listens" port_open 127.0.0.1 6443

proof "HAProxy forwards TCP 6443 to $(grep -c '^  server ' /etc/haproxy/kubernetes.cfg) API servers"
