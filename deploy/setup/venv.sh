#!/usr/bin/env bash
# Makes the virtual environment in $1 with the newest Python that Tollgate supports and that can make one.
set -euo pipefail
venv=$1

for candidate in python3.13 python3.12 python3.11 python3; do
    if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
        echo "tollgate: making $venv with $("$candidate" --version)"
        exec "$candidate" -m venv "$venv"
    fi
done

cat >&2 <<'EOF'
tollgate: no usable Python. Tollgate needs Python 3.11, 3.12 or 3.13 with the modules venv and ensurepip
(on Debian and Ubuntu: apt-get install python3 python3-venv).
EOF
exit 1
