#!/bin/sh
# Makes what the broker and the ledger's database need to speak TLS, each in a directory of its own:
#
#     sh deploy/tls/make_certificates.sh DIRECTORY
#
#     DIRECTORY/authority/ca.crt         what clients trust; no secret
#     DIRECTORY/valkey/tls.crt, tls.key  for the names valkey, localhost and those in Kubernetes
#     DIRECTORY/postgres/...             the same for postgres
#
# The authority's own key signs these two and is thrown away: nobody can make a third. What is there already is left
# alone; `--renew` before DIRECTORY makes everything anew, and then servers and clients have to be started again.
set -eu

days=${CERTIFICATE_DAYS:-825}
is_renewing=no
if [ "${1:-}" = --renew ]; then is_renewing=yes; shift; fi
target=${1:?usage: make_certificates.sh [--renew] DIRECTORY}

if [ "$is_renewing" = no ] && [ -s "$target/postgres/tls.crt" ]; then
    for certificate in "$target/valkey/tls.crt" "$target/postgres/tls.crt"; do
        openssl x509 -in "$certificate" -noout -checkend 2592000 >/dev/null ||
            echo "WARNING: $certificate ends within 30 days: make certificates anew with --renew" >&2
    done
    echo "certificates are there: $target"
    exit 0
fi

# The group may read a key: the servers' users are put into the group of whoever runs this.
umask 027
workshop=$(mktemp -d)
trap 'rm -rf "$workshop"' EXIT
mkdir -p "$target/authority" "$target/valkey" "$target/postgres"

new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

new_key "$workshop/ca.key"
openssl req -x509 -new -sha256 -key "$workshop/ca.key" -days "$days" -subj "/CN=Tollgate's own authority" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -out "$workshop/ca.crt"

for server in valkey postgres; do
    cat >"$workshop/extensions" <<EOF
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
authorityKeyIdentifier=keyid
subjectAltName=DNS:$server,DNS:$server.tollgate,DNS:$server.tollgate.svc,DNS:$server.tollgate.svc.cluster.local,DNS:localhost,IP:127.0.0.1
EOF
    new_key "$workshop/$server.key"
    openssl req -new -sha256 -key "$workshop/$server.key" -subj "/CN=$server" -out "$workshop/request"
    openssl x509 -req -sha256 -days "$days" -in "$workshop/request" -CA "$workshop/ca.crt" -CAkey "$workshop/ca.key" \
        -CAcreateserial -CAserial "$workshop/serial" -extfile "$workshop/extensions" -out "$workshop/$server.crt" \
        2>"$workshop/said" || { cat "$workshop/said" >&2; exit 1; }
done

# Moved in at the end, the database's last: an attempt that broke off is seen as none.
for server in valkey postgres; do
    cp "$workshop/$server.key" "$target/$server/tls.key"
    cp "$workshop/$server.crt" "$target/$server/tls.crt"
    [ "$server" = postgres ] || cp "$workshop/ca.crt" "$target/authority/ca.crt"
    chmod 0640 "$target/$server/tls.key"
    chmod 0644 "$target/$server/tls.crt" "$target/authority/ca.crt"
done
echo "made certificates for $days days: $target"
