# Read by demo.sh and test.sh: makes .venv with the locked requirements of its first argument, and installs what is
# missing where it may. Needs a POSIX shell and Python 3.11, 3.12 or 3.13; everything else comes from here.

say() { printf '%s\n' "$*" >&2; }

# Install Debian packages as root; without root, say which are missing and end.
need() {
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        say "installing $*"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    else
        say "missing: $*. Install it as root (Debian, Ubuntu: apt-get install $*) and run this again."
        exit 1
    fi
}

find_python() {
    for python in python3 python3.13 python3.12 python3.11; do
        if command -v "$python" >/dev/null && "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'; then
            return
        fi
    done
    need python3
    python=python3
    "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || {
        say "Python 3.11, 3.12 or 3.13 is needed; $("$python" --version) is there."
        exit 1
    }
}

# A C compiler and Python's headers: without them the native data path is not compiled, and its tests have nothing.
need_compiler() {
    find_python
    command -v cc >/dev/null || need gcc libc6-dev
    "$python" -c 'import pathlib, sysconfig; (pathlib.Path(sysconfig.get_path("include")) / "Python.h").stat()' 2>/dev/null ||
        need "$("$python" -c 'import sys; print("python%d.%d-dev" % sys.version_info[:2])')"
}

# prepare LOCK: an environment in .venv with exactly the requirements of requirements/LOCK.txt and this checkout.
prepare() {
    lock="requirements/$1.txt"
    find_python
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        need "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    # The environment's scripts hold absolute paths: made for another place or another Python, it is made anew.
    stamp=".venv/installed-$1-$({ cat "$lock" pyproject.toml hatch_build.py bus/*/native/*.py[xd] adapters/*/native/*.pyx && pwd; } | cksum | tr ' ' -)"
    [ -e "$stamp" ] && [ -x .venv/bin/python ] && return
    [ "$(cat .venv/place 2>/dev/null || pwd)" = "$(pwd)" ] && .venv/bin/python -m pip --version >/dev/null 2>&1 ||
        "$python" -m venv --clear .venv
    pwd >.venv/place
    say "installing the locked requirements of $lock"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
    touch "$stamp"
}
