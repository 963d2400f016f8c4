# shellcheck shell=bash disable=SC2016,SC2317
# Shell functions of the by-hand transcript. Keys are kept in pki/, which only its owner can read; each machine gets only
# the keys that it needs.
set -euo pipefail
umask 077
: "${SSH_CONFIG:=ssh_config}" # Host controller-0, worker-0, ...: user admin, host keys pinned
: "${ELASTIC_IP:=}"           # public address of the API endpoint, if it has one
mkdir -p pki

key() { # key NAME: a P-256 key
  mkdir -p "pki/$1" && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "pki/$1/key"
}
authority() { # authority NAME: a self-signed CA
  key "$1"
  openssl req -x509 -new -key "pki/$1/key" -subj "/CN=$1" -days "{{CA_DAYS}}" -out "pki/$1/cert" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature
}
sign() { # sign NAME CA SUBJECT DAYS EXTENSIONS: a certificate signed by that CA
  key "$1"
  openssl req -new -key "pki/$1/key" -subj "$3" |
    openssl x509 -req -CA "pki/$2/cert" -CAkey "pki/$2/key" -CAcreateserial -days "$4" -extfile <(printf '%b' "$5") -out "pki/$1/cert"
}
kubeconfig() { # kubeconfig FILE USER PAIR SERVER: a kubeconfig with embedded certificates
  mkdir -p "pki/$(dirname "$1")"
  cat >"pki/$1" <<END
apiVersion: v1
kind: Config
clusters: [{name: {{CLUSTER_NAME}}, cluster: {server: "$4", certificate-authority-data: $(base64 -w0 pki/kubernetes-ca/cert)}}]
users: [{name: "$2", user: {client-certificate-data: $(base64 -w0 "pki/$3/cert"), client-key-data: $(base64 -w0 "pki/$3/key")}}]
contexts: [{name: {{CLUSTER_NAME}}, context: {cluster: {{CLUSTER_NAME}}, user: "$2"}}]
current-context: {{CLUSTER_NAME}}
END
}
query() { # query MACHINE KEY: what cloud-init on the machine knows
  ssh -n -F "$SSH_CONFIG" "$1" cloud-init query "$2"
}
content() { if [ -s "pki/$1" ]; then base64 -w0 "pki/$1"; else echo "pki/$1 is missing" >&2 && return 1; fi; }
fact() { local text && text=$(content "$2") && printf 'fact %s %s\n' "$1" "$text"; }
file() { local text && text=$(content "$4") && printf 'file %s %s %s %s\n' "$1" "$2" "$3" "$text"; }
together() { for job in $(jobs -p); do wait "$job"; done; } # waits for all machines; fails if one of them failed
