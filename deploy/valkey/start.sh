#!/bin/sh
# Starts Valkey with the users of users.acl, passing its arguments on. The passwords come from the environment; only
# their hashes are written, to the directory $ACL_DIRECTORY (a tmpfs), and none is on a command line.
set -eu
umask 077

sha256_of() { printf '%s' "$1" | sha256sum | cut -d ' ' -f 1; }

template=$(dirname "$0")/users.acl
target=${ACL_DIRECTORY:-/run/valkey}/users.acl
sed -e '/^#/d' -e '/^$/d' \
    -e "s/#TOLLGATE_HASH/#$(sha256_of "${VALKEY_PASSWORD:?is not set}")/" \
    -e "s/#WEB_HASH/#$(sha256_of "${VALKEY_WEB_PASSWORD:?is not set}")/" \
    -e "s/#EXPORTER_HASH/#$(sha256_of "${VALKEY_EXPORTER_PASSWORD:?is not set}")/" \
    "$template" >"$target"
exec valkey-server --aclfile "$target" "$@"
