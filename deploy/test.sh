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
# In as many processes as there are cores, four at most: each has a broker of its own. A file's tests stay together, what
# loads the machine runs one by one (tests/conftest.py), and files come in their order: the slow ones first.
exec pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder -m "$long" "$@"
