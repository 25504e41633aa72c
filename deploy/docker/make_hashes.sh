#!/bin/sh
# Writes deploy/docker/hashes-web.txt and hashes-worker.txt: every package of an image in its version of constraints.txt,
# with the SHA-256 of each of its files. Needs `uv`; run it after a change of pyproject.toml or constraints.txt.
set -eu
cd "$(dirname "$0")/../.."
web="--extra postgres --extra tracing --extra aws"
for image in web worker; do
    extras=$web
    [ "$image" = web ] || extras="--extra workers $web"
    # shellcheck disable=SC2086
    echo "setuptools" | uv pip compile --quiet pyproject.toml - $extras --constraint constraints.txt --python-version 3.13 \
        --python-platform linux --generate-hashes --no-header --no-annotate --output-file "deploy/docker/hashes-$image.txt"
done
