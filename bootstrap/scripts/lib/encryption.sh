# shellcheck shell=bash
# The keys that encrypt Secrets in etcd, and how they change while every API server serves. An API server's configuration
# lists keys: all of them decrypt, and the first one encrypts. A key is named after the digest of its secret, and etcd shows
# the name in front of each value. For a new key, each control-plane machine
#
#   1. adds it as the last one, and waits until every API server has loaded it,
#   2. makes it the first one, and waits until every API server encrypts with it,
#   3. in turn, writes each Secret again that another key encrypts,
#   4. drops the other keys.
#
# API servers load a changed configuration within a minute, without a restart. Each machine reports to etcd which keys its
# API server has loaded, in the key $LOADED/<machine>.
# https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/#rotating-a-decryption-key
#
# Input: NODE_NAME, CONTROLLERS (lines of "name address"); for all but `unreadable_secrets`, KEY, the wanted key as
# "name secret".

readonly ENCRYPTION=$ROOT/etc/kubernetes/encryption-config.yaml LOADED=kubernetes-from-scratch/encryption

# named_key SECRET: "name secret"
named_key() { printf 'key-%.12s %s\n' "$(printf '%s' "$1" | sha256sum)" "$1"; }

# configured_keys: lines of "name secret".
configured_keys() { awk '$2 == "name:" { name = $3 } $1 == "secret:" { print name, $2 }' "$ENCRYPTION"; }

# configure_keys <lines of "name secret": Secrets that are still in plain text can be read, too.
configure_keys() {
  local name secret
  {
    printf '%s\n' 'apiVersion: apiserver.config.k8s.io/v1' 'kind: EncryptionConfiguration' 'resources:' \
      '  - resources: [secrets]' '    providers:' '      - secretbox:' '          keys:'
    while read -r name secret; do printf '            - name: %s\n              secret: %s\n' "$name" "$secret"; done
    echo '      - identity: {}'
  } | put "$ENCRYPTION" 0600 root:root
}

data() { etcdctl --endpoints "$(etcd_endpoints)" --command-timeout 60s "$@"; }

# encrypted_secrets: lines of "key path" for every Secret in etcd, with the name of the key that encrypts it, or "plain".
# A value begins with k8s:enc:secretbox:v1:<key>: and then is binary; a path has at most 334 characters.
encrypted_secrets() {
  data get --prefix /registry/secrets/ | cut -b -400 | LC_ALL=C awk -F : '
    path != "" { print ($0 ~ /^k8s:enc:secretbox:v1:/ ? $5 : "plain"), path; path = ""; next }
    /^\/registry\/secrets\// { path = $0 }'
}

# unreadable_secrets: the names of keys that encrypt Secrets and are not configured, each with a number of Secrets.
unreadable_secrets() {
  encrypted_secrets | awk 'NR == FNR { configured[$1]; next }
    $1 != "plain" && !($1 in configured) { count[$1]++ }
    END { for (name in count) printf "%s (%d)\n", name, count[name] }' <(configured_keys | cut -d ' ' -f 1) -
}

# stale_secrets: the paths of Secrets that the wanted key does not encrypt.
stale_secrets() { encrypted_secrets | awk -v name="${KEY% *}" '$1 != name { print $2 }'; }

all_encrypted() {
  local stale
  stale=$(stale_secrets) || return
  [ -z "$stale" ] || { echo "$(wc -l <<<"$stale") Secrets are encrypted with another key" && pause 2 && return 1; }
}

# report_keys <lines of "name secret": tells the other machines which keys this API server has loaded.
report_keys() { data put "$LOADED/$NODE_NAME" "$(cut -d ' ' -f 1 | paste -sd ' ')" >/dev/null; }

# forget_loaded_keys: what machines have reported is out of date, because etcd was restored from a snapshot.
forget_loaded_keys() { data del --prefix "$LOADED/" >/dev/null; }

# waits_for_key MACHINE: its API server does not start before the others have changed the key.
waits_for_key() { [[ $(data get --print-value-only "$LOADED/$1") == *" waiting" ]]; }

# admit_key: the API server can start with the configuration. On a new machine, which does not have the key that others still
# encrypt with, it starts only when they have changed it.
admit_key() {
  local keys patience=0
  if [ -e "$ENCRYPTION" ]; then
    keys=$(configured_keys)
    grep -q "^${KEY% *} " <<<"$keys" || configure_keys <<<"$keys"$'\n'"$KEY"
    return
  fi
  if [ -n "$(stale_secrets)" ]; then
    report_keys <<<"$KEY"$'\nwaiting'
    [ -z "$(other_controllers)" ] || patience=600
    wait_for "$patience" "all Secrets are encrypted with the configured encryptionKey" all_encrypted
  fi
  configure_keys <<<"$KEY"
  report_keys <<<"$KEY"
}

# load_keys <lines of "name secret": configures them, waits until the API server has loaded them, and reports that.
load_keys() {
  local keys digest
  keys=$(cat)
  configure_keys <<<"$keys"
  digest=$(sha256sum "$ENCRYPTION")
  # shellcheck disable=SC2317 # wait_for calls it
  has_loaded() {
    kubectl get --raw /metrics | grep -E "^apiserver_encryption_config_controller_last_config_info\{.*${digest%% *}\"" >/dev/null || { pause 2 && return 1; }
  }
  wait_for 150 "the API server has loaded the keys $(cut -d ' ' -f 1 <<<"$keys" | paste -sd ' ')" has_loaded
  report_keys <<<"$keys"
}

# loaded_everywhere PATTERN: the keys that each API server has loaded match, as names separated and surrounded by spaces.
loaded_everywhere() {
  local path names name
  local -A loaded
  while read -r path && read -r names; do loaded[${path##*/}]=$names; done < <(data get --prefix "$LOADED/")
  while read -r name _; do
    # shellcheck disable=SC2053 # it is a pattern
    [[ " ${loaded[$name]:-} " == $1 ]] || { echo "$name has loaded ${loaded[$name]:-nothing}" && pause 2 && return 1; }
  done <<<"$CONTROLLERS"
}

# rewrite_secrets: writes stale Secrets again. Succeeds once there are none; somebody may have changed one in the meantime.
rewrite_secrets() {
  local stale namespace
  stale=$(stale_secrets) || return
  [ -n "$stale" ] || return 0
  while read -r namespace; do
    kubectl get secrets --namespace "$namespace" --output json | kubectl replace --filename - || :
  done < <(cut -d / -f 4 <<<"$stale" | sort -u)
  return 1
}

# is_only_key: the wanted key is the only one that is configured.
is_only_key() { [ "$(configured_keys)" = "$KEY" ]; }

# change_key: the wanted key becomes the only one, according to the list above. The step is administrator (as_admin).
change_key() {
  local name=${KEY% *} keys unreadable
  unreadable=$(unreadable_secrets)
  [ -z "$unreadable" ] || fail "Secrets are encrypted with keys that this cluster does not have: ${unreadable//$'\n'/, }. They may
  come from a snapshot that is older than a change of encryptionKey. Set it to the former key, and run this again."
  keys=$(configured_keys)
  load_keys <<<"$keys"
  wait_for 600 "every API server can decrypt with $name" loaded_everywhere "* $name *"
  load_keys < <(echo "$KEY" && grep -v "^$name " <<<"$keys")
  wait_for 600 "every API server encrypts with $name" loaded_everywhere " $name *"
  await_turn
  wait_for 600 "every Secret is encrypted with $name" rewrite_secrets
  give_turn
  load_keys <<<"$KEY"
}
