#!/bin/sh
# Run the tests of the C core under AddressSanitizer and UndefinedBehaviorSanitizer.
#
#     scripts/sanitize_core.sh python3.12 [pytest arguments]
#
# Its arrays are blocks of malloc here, whose ends the sanitizer sees. Not the forked capture: its
# child must not call malloc. Not the tests whose programs choose their own allocator, in an
# environment without the sanitizer, nor one that measures resident memory, nor one that forks while a
# thread allocates: the sanitizer's own allocator may be locked in the child. The core is built into a
# copy of the tree, so that the one that is installed stays as it is. Python itself is not
# instrumented: leaks are not looked for, as the interpreter keeps what it has.
set -eu
python=$(command -v "$1")
shift
root=$(cd "$(dirname "$0")/.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -R "$root/memlens" "$root/tests" "$root/scripts" "$root/pyproject.toml" "$copy"
cd "$copy"
rm -f memlens/_core/*.so
"$python" scripts/build_core.py -DMEMLENS_CHECKED_BUFFERS -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
    -fno-sanitize-recover=undefined -Wno-error
LD_PRELOAD="$(${CC:-gcc} -print-file-name=libasan.so) $(${CC:-gcc} -print-file-name=libubsan.so)" \
ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
UBSAN_OPTIONS=print_stacktrace=1 \
PYTHONMALLOC=malloc MEMLENS_PURE=0 \
    "$python" -m pytest -q --capture=sys -p no:cacheprovider --deselect tests/core/test_fork.py \
    -k "not pure and not debugging_interpreter and not allocator_gave and not below_10_mb and not fork_amid" \
    "${@:-tests/core}"
