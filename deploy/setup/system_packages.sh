#!/usr/bin/env bash
# Brings what the tests need from the system: a browser (Chromium), Prometheus and its promtool (one package), a broker and
# a PostgreSQL with TLS (the wheels' have none).
# Installs them with apt-get where that is possible; otherwise says which tests will be skipped, and goes on.
set -euo pipefail

missing=()
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    missing+=(chromium)
command -v promtool >/dev/null && command -v prometheus >/dev/null || missing+=(prometheus)
# Under the name of its checker this is the server; the package `redis-server` would start one.
command -v valkey-server >/dev/null || command -v redis-server >/dev/null || command -v redis-check-rdb >/dev/null ||
    missing+=(redis-tools)
command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if sudo --non-interactive true 2>/dev/null; then as_root=(sudo --non-interactive); else missing_reason="not root"; fi
fi
command -v apt-get >/dev/null || missing_reason="no apt-get"

if [ -z "${missing_reason:-}" ]; then
    echo "tollgate: installing ${missing[*]} (Debian packages, for the tests)"
    export DEBIAN_FRONTEND=noninteractive
    # PostgreSQL's package would make a database and start it.
    if [[ " ${missing[*]} " == *" postgresql "* ]] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        "${as_root[@]}" mkdir -p /etc/postgresql-common
        echo "create_main_cluster = false" | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    install=("${as_root[@]}" apt-get install --yes --quiet --no-install-recommends)
    # The package lists may be missing or old: refresh them only when the first attempt fails.
    "${install[@]}" "${missing[@]}" >/dev/null 2>&1 ||
        { "${as_root[@]}" apt-get update --quiet >/dev/null && "${install[@]}" "${missing[@]}" >/dev/null; } ||
        missing_reason="apt-get failed"
fi

if [ -n "${missing_reason:-}" ]; then
    cat >&2 <<EOF
==============================================================================
 MISSING: ${missing[*]} (${missing_reason}). The tests that need them are
 skipped here, and fail where CI=true. Install these packages to run them all.
==============================================================================
EOF
fi
