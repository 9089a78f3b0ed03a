#!/usr/bin/env bash
# Builds the sdist, and the wheel from the sdist, and checks both as a user has them, outside the checkout:
#
#     scripts/check_package.sh PYTHON [FOLDER]    the files are left in FOLDER
#
# - twine finds nothing wrong with either;
# - the sdist has every file of git but .gitignore, the wheel all of the package but C, and nothing else;
# - the installed wheel has a compiled core, and finds the leak of the demo;
# - mypy and pyright infer the types that tests/packaging/typed_program.py asserts, and it runs.
set -euo pipefail
cd "$(dirname "$0")/.."
checkout=$PWD
python=${1:?usage: scripts/check_package.sh PYTHON [FOLDER]}
folder=$(mkdir -p "${2:-build/package}" && cd "${2:-build/package}" && pwd)
rm -rf "$folder"/{dist,venv,user}

"$python" -m venv "$folder/venv"
bin=$folder/venv/bin
"$bin/pip" install -q build twine mypy pyright
"$bin/python" -m build --outdir "$folder/dist" . >"$folder/build.log" 2>&1 ||
    { cat "$folder/build.log"; exit 1; }
"$bin/twine" check --strict "$folder"/dist/*

files_of_package() { find memlens -type f ! -path '*/__pycache__/*' ! -name '*.so' | LC_ALL=C sort; }

echo "what the files contain"
tar -tzf "$folder"/dist/*.tar.gz | sed 's,^[^/]*/,,' | grep -v -e '/$' -e '\.egg-info' -e '^$' |
    grep -vx -e PKG-INFO -e setup.cfg | LC_ALL=C sort >"$folder/sdist.txt"
if git rev-parse --git-dir >/dev/null 2>&1; then
    git ls-files | grep -v '\.gitignore$' | LC_ALL=C sort
else
    files_of_package
fi >"$folder/expected.txt"
missing=$(LC_ALL=C comm -13 "$folder/sdist.txt" "$folder/expected.txt")
[ -z "$missing" ] || { printf 'not in the sdist:\n%s\n' "$missing"; exit 1; }
"$bin/python" -m zipfile -l "$folder"/dist/*.whl | awk 'NR > 1 {print $1}' |
    grep -v -e '\.dist-info/' -e '\.so$' | LC_ALL=C sort >"$folder/wheel.txt"
files_of_package | grep -v -e '\.[ch]$' -e '\.d\.ts$' >"$folder/expected.txt"
diff "$folder/expected.txt" "$folder/wheel.txt" || { echo "the wheel has other files than memlens"; exit 1; }

echo "the wheel, installed"
mkdir "$folder/user"
cp "$checkout/tests/packaging/typed_program.py" "$folder/user/program.py"
cd "$folder/user" # from here on the checkout cannot be imported by accident
"$bin/pip" install -q "$folder"/dist/*.whl
MEMLENS_PURE=0 "$bin/memlens" --version
"$bin/python" -m memlens demo | tee demo.txt
grep -q "shop.store._sessions" demo.txt
"$bin/mypy" --strict program.py
"$bin/pyright" --pythonpath "$bin/python" program.py
"$bin/python" -W error program.py 2>program.err || { cat program.err; exit 1; }
