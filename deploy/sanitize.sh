#!/bin/sh
# The compiled code under AddressSanitizer and UndefinedBehaviorSanitizer: built for them in a copy of this checkout, taken
# through its property tests there, then fuzzed, guided by the ways that inputs take through it (tests/fuzz). Any report
# fails. `deploy/test.sh --all` runs it. FUZZ_SECONDS is for each target, 600 of itself; arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."
python="$PWD/.venv/bin/python"
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z -- bus adapters schemas tests hatch_build.py pyproject.toml | xargs -0 cp --parents -t "$copy"
cd "$copy"

sanitize="-fsanitize=address,undefined -fno-sanitize-recover=all"
CFLAGS="$sanitize -fsanitize-coverage=trace-pc -fno-omit-frame-pointer -g" LDFLAGS="$sanitize" "$python" hatch_build.py
cc -shared -fPIC -O2 -o edges.so tests/fuzz/edges.c
for module in bus/*/native/*.so adapters/*/native/*.so; do
    grep -q __asan_report_load "$module" || { echo "$module is not built for the sanitizers" >&2; exit 1; }
done

# Python's own small allocations are single ones for malloc then, so that reading beyond bytes is seen too. What Python
# itself keeps to its end is no leak of ours.
run() {
    LD_PRELOAD="$copy/edges.so $(cc -print-file-name=libasan.so) $(cc -print-file-name=libubsan.so)" PYTHONPATH="$copy" \
        PYTHONMALLOC=malloc UBSAN_OPTIONS=print_stacktrace=1 \
        ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:verify_asan_link_order=0 "$@"
}
run "$python" -c "
import sys
from bus.kafka.native import _batches
sys.exit(0 if _batches.__file__.startswith('$copy') else f'{_batches.__file__} is not the copy')"
run "$python" -m pytest -q --capture=sys -p no:cacheprovider -m "not long" -o timeout=1200 \
    tests/property/kafka tests/property/pipeline tests/property/test_copy_text_properties.py "$@"
for target in batch take; do
    run "$python" -m tests.fuzz.fuzzing "$target" "${FUZZ_SECONDS:-600}"
done
