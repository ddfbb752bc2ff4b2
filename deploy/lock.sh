#!/bin/sh
# Renews the hash-locked requirements after a change of the dependencies in pyproject.toml. Needs `uv` in .venv.
set -eu
cd "$(dirname "$0")/.."
compile() {
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-header --no-annotate "$@"
}
compile --extra dev pyproject.toml -o requirements/dev.txt
compile --extra demo --extra build -c requirements/dev.txt pyproject.toml -o requirements/demo.txt
