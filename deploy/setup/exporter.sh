#!/usr/bin/env bash
# Runs celery-exporter from a virtual environment of its own, which is made on first use:
#   exporter.sh VENV FLAGS...
# Its pins (redis<6, Python<3.13) clash with Tollgate's. Exit code 69: it cannot be had on this machine.
set -euo pipefail
# It asks for redis<6 and any Celery 5, but kombu 5.6 and later refuse that redis.
readonly PACKAGES=(prometheus-exporter-celery==0.11.2 "celery[redis]==5.5.3" kombu==5.5.4 packaging==26.3)
readonly UNAVAILABLE=69
venv=$1
shift

find_python() {
    local candidate
    for candidate in python3.12 python3.11 python3; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "celery-exporter needs Python 3.11 or 3.12; neither is here. Going on without it." >&2
    exit "$UNAVAILABLE"
}

if [ ! -e "$venv/.complete" ]; then
    python=$(find_python)
    { "$python" -m venv --clear "$venv" && "$venv/bin/python" -m pip install --quiet --quiet "${PACKAGES[@]}"; } || {
        echo "celery-exporter could not be installed. Going on without it; the next start tries again." >&2
        exit "$UNAVAILABLE"
    }
    touch "$venv/.complete"
fi
exec "$venv/bin/python" -c 'from src.cli import cli; cli(auto_envvar_prefix="CE")' "$@"
