#!/usr/bin/env bash
# Makes every member of etcd release the space of deleted keys.
# Arguments: the command line of etcdctl.
set -euo pipefail
revision=$("$@" get / -w json | sed 's/.*"revision":\([0-9]*\).*/\1/')
"$@" compact --physical "$revision"
"$@" defrag --cluster
