#!/usr/bin/env bash
# dist/*.whl: the Python package with firesteel.jar, and firesteel-libtorch-cpu with the natives jar. They are built from
# copies, so that the source folders stay without jars.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

temp="$(mktemp -d "$ROOT/build/.wheel.XXXXXX")"
trap 'rm -rf "$temp"' EXIT
# The same input gives the same bytes.
export SOURCE_DATE_EPOCH=1577836800

# wheel FOLDER PACKAGE JAR LICENSE...: the wheel of one of our projects, whose package contains a jar, with the license
# texts of what the jar contains.
wheel() {
  local copy="$temp/$1"
  mkdir -p "$copy/licenses"
  cp -rL "${@:4}" "$copy/licenses"
  cp -r LICENSE NOTICE "spark-plugin/$1/pyproject.toml" "spark-plugin/$1/README.md" "spark-plugin/$1/$2" "$copy"
  mkdir "$copy/$2/jars"
  cp "build/$3" "$copy/$2/jars"
  find "$copy" -name __pycache__ -prune -exec rm -r {} +
  build/venv-wheel/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-index \
    --no-build-isolation --wheel-dir "$temp/dist" "$copy"
}

cp -r build/libtorch/licenses "$temp/libtorch"
wheel python firesteel firesteel.jar licenses/rust-crates.txt
wheel python-libtorch-cpu firesteel_libtorch_cpu firesteel-libtorch-cpu-linux-x86_64.jar \
  licenses/libgomp licenses/mkl "$temp/libtorch"

mkdir -p dist
rm -f dist/*.whl
mv "$temp"/dist/*.whl dist
(cd dist && ls -lh -- *.whl | awk '{ printf "    dist/%s  %s\n", $9, $5 }')
