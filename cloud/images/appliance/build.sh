#!/bin/sh
# Builds the root file system of the cloud's own appliances: resolver (dnsmasq), gateway (nginx) and load balancer
# (HAProxy). Usage: build.sh TARGET.tar
set -eu
# shellcheck disable=SC2016 # mmdebstrap gives the directory as $1
exec mmdebstrap --quiet --variant=minbase --include=haproxy,dnsmasq-base,nginx-light,iproute2,nftables \
  --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/usr/share/doc/* "$1"/usr/share/man/* "$1"/usr/share/locale/*' \
  trixie "$1"
