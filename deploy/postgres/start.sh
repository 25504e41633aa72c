#!/bin/sh
# Starts PostgreSQL with TLS, passing its arguments on; called by the image's entry point, which is called again so that
# it prepares a new volume. The server insists on a key of its own that nobody else may read: a copy, in memory.
set -eu
umask 077

directory=$(cd "$(dirname "$0")" && pwd)
key=${KEY_DIRECTORY:-/var/run/postgresql}/tls.key
cat "${CERTIFICATE_DIRECTORY:-/certificate}/tls.key" >"$key"
exec "${ENTRY_POINT:-docker-entrypoint.sh}" postgres -c ssl=on -c ssl_min_protocol_version=TLSv1.2 \
    -c ssl_cert_file="${CERTIFICATE_DIRECTORY:-/certificate}/tls.crt" -c ssl_key_file="$key" \
    -c hba_file="$directory/pg_hba.conf" "$@"
