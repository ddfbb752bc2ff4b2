#!/bin/sh
# Lint, types, imports and tests; with --all also the long runs, and the compiled code under sanitizers. Other arguments
# go to pytest.
set -eu
cd "$(dirname "$0")/.."
. deploy/environment.sh
need_compiler
prepare dev
long="not long"
if [ "${1:-}" = "--all" ]; then
    long=""
    shift
fi
PATH="$PWD/.venv/bin:$PATH"
export PATH
ruff check
ruff format --check
mypy
lint-imports --no-cache
sh -n deploy/*.sh
[ -n "$long" ] || sh deploy/sanitize.sh
# A file's tests stay together, in one of two processes (of four at most): each has a broker of its own.
exec pytest -n auto --maxprocesses 4 --dist loadfile -m "$long" "$@"
