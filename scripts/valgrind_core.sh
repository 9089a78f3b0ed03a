#!/bin/sh
# A short run of the C core under valgrind: capture and analysis.
#
#     scripts/valgrind_core.sh python3.12
#
# Built into a copy of the tree, with arrays from malloc, whose ends valgrind sees. Errors count only
# where the core is on the stack: the interpreter has some of its own.
set -eu
python=$(command -v "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -R "$root/memlens" "$root/scripts" "$copy"
cd "$copy"
rm -f memlens/_core/*.so
"$python" scripts/build_core.py -DMEMLENS_CHECKED_BUFFERS -O1
# 3.11 multiplies a digit that it has not set by a length of zero (int.from_bytes), and all that comes
# of that zero counts as not set: there only addresses are checked.
undefined=yes
case $("$python" -V) in *" 3.11."*) undefined=no ;; esac
failed=0
PYTHONMALLOC=malloc MEMLENS_PURE=0 \
    valgrind --num-callers=30 --undef-value-errors=$undefined --log-file="$copy/log" "$python" scripts/exercise_core.py || failed=1
# A frame of the core is named by its source file.
for source in memlens/_core/native/*/*.c; do
    if grep -q "($(basename "$source"):" "$copy/log"; then
        failed=1
    fi
done
if [ "$failed" -ne 0 ]; then
    cat "$copy/log"
    exit 1
fi
tail -n 1 "$copy/log"
