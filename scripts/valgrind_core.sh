#!/bin/sh
# A short run of the C core under valgrind: capture, analysis, a forked capture.
#
#     scripts/valgrind_core.sh python3.12
set -eu
python=$(command -v "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
PYTHONMALLOC=malloc MEMLENS_PURE=0 valgrind --quiet --error-exitcode=9 --trace-children=no \
    --undef-value-errors=yes --suppressions="$root/scripts/valgrind.supp" \
    "$python" scripts/exercise_core.py
