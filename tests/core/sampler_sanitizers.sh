#!/bin/sh
# The sampler's tests with AddressSanitizer and UndefinedBehaviorSanitizer; nothing of the checkout is
# changed. Usage: tests/core/sampler_sanitizers.sh PYTHON [pytest options]
set -eu
python=$1
shift
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$root/memlens" "$root/tests" "$work"
rm -f "$work"/memlens/_core/_sampler*.so
include=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
suffix=$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
gcc -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined \
    -fPIC -shared -pthread -Wall -Wextra -Wno-missing-field-initializers -Werror -I"$include" \
    "$work/memlens/_core/sampler.c" -o "$work/memlens/_core/_sampler$suffix" -lm
cd "$work"
# The interpreter itself is not instrumented: its leaks are not the question, its blocks are
# (PYTHONMALLOC=malloc gives every one of them red zones).
LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
    ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 PYTHONMALLOC=malloc PYTHONPATH="$work" \
    "$python" -m pytest -q -p no:cacheprovider tests/core/test_sampler.py \
    tests/core/test_sampler_robustness.py "$@"
