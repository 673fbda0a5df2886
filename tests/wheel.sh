#!/bin/sh
# Builds the wheel, installs it into an empty environment outside the checkout, and runs it there.
# Usage: tests/wheel.sh PYTHON   (a Python that has the package `build`)
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
away=$(mktemp -d)
trap 'rm -rf "$away"' EXIT

"$python" -m build --wheel --outdir "$away/dist" "$root" >"$away/build.log" || { cat "$away/build.log"; exit 1; }
"$python" -m venv "$away/venv"
"$away/venv/bin/python" -m pip install --quiet --disable-pip-version-check -c "$root/constraints.txt" "$away"/dist/*.whl
cd "$away"
export ZSLBENCH_STORE="$away/store"
"$away/venv/bin/zslbench" --strict-plugins plugins
"$away/venv/bin/zslbench" --strict-plugins run tf-vaegan --dataset toy --threads 1
"$away/venv/bin/zslbench" --strict-plugins run sc-egg --dataset toy --threads 1 --epochs 4 --track jsonl
"$away/venv/bin/zslbench" table --dataset toy
"$away/venv/bin/zslbench" suites
"$away/venv/bin/zslbench" --strict-plugins bench quick --dry-run --threads 1
"$away/venv/bin/zslbench" --strict-plugins bench quick --threads 1 --method eszsl
"$away/venv/bin/zslbench" published sc-egg
echo "wheel: installed and run outside the checkout"
