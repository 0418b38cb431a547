#!/bin/sh
# Makes the secrets of compose.yaml, once: what is there stays. Containers read them as they are mounted, so the folder,
# and not the files, keeps others out.
set -eu
cd -- "$(dirname -- "$0")"
[ ! -e secrets ] || { echo "there are secrets already: ./secrets" >&2; exit 1; }
umask 077
mkdir secrets
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
nats=$(random) postgres=$(random)
printf %s "$postgres" > secrets/postgres-password
cat > secrets/nats.conf <<CONF
server_name: herald
http: 8222
max_payload: 524288
jetstream { store_dir: /data, sync_interval: always }
authorization { user: herald, password: "$nats" }
CONF
cat > secrets/herald.toml <<CONF
nats_url = "nats://herald:$nats@nats:4222"
nats_monitor_url = "http://nats:8222"
database_url = "postgres://herald:$postgres@postgres/herald"
attachments = "/files"
CONF
chmod 644 secrets/*
echo "made: ./secrets"
