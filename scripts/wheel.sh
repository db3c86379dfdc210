#!/usr/bin/env bash
# dist/*.whl: the Python package with firesteel.jar and the job server, and firesteel-libtorch-cpu with the natives jar.
# dist/any has the Python package without the server, for clients on other systems; of one version, pip prefers the wheel
# for its own system. All are built from copies, so that the source folders stay without jars and programs.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

temp="$(mktemp -d "$ROOT/build/.wheel.XXXXXX")"
trap 'rm -rf "$temp"' EXIT
# The same input gives the same bytes.
export SOURCE_DATE_EPOCH=1577836800

# copy FOLDER PACKAGE JAR LICENSE...: copies one of our projects, whose package contains a jar, with the license texts of
# what the jar and the program contain.
copy() {
  local copy="$temp/$1"
  mkdir -p "$copy/licenses"
  cp -rL "${@:4}" "$copy/licenses"
  cp -r LICENSE NOTICE "spark-plugin/$1/pyproject.toml" "spark-plugin/$1/README.md" "spark-plugin/$1/$2" "$copy"
  mkdir "$copy/$2/jars"
  cp "build/$3" "$copy/$2/jars"
  find "$copy" -name __pycache__ -prune -exec rm -r {} +
}

# wheel FOLDER TARGET [OPTION...]: builds the wheel of a copy.
wheel() {
  build/venv-wheel/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-index \
    --no-build-isolation --wheel-dir "$temp/dist/$2" "${@:3}" "$temp/$1"
}

cp -r build/libtorch/licenses "$temp/libtorch"
copy python firesteel firesteel.jar licenses/rust-crates.txt
wheel python any
mkdir "$temp/python/firesteel/punchcard/bin"
cp build/firesteel-punchcard "$temp/python/firesteel/punchcard/bin"
rm -r "$temp/python/build"
wheel python . --config-settings=--build-option=--plat-name=manylinux_2_34_x86_64
copy python-libtorch-cpu firesteel_libtorch_cpu firesteel-libtorch-cpu-linux-x86_64.jar \
  licenses/libgomp licenses/mkl "$temp/libtorch"
wheel python-libtorch-cpu .

mkdir -p dist/any
rm -f dist/*.whl dist/any/*.whl
mv "$temp"/dist/*.whl dist
mv "$temp"/dist/any/*.whl dist/any
(cd dist && ls -lh -- *.whl any/*.whl | awk '{ printf "    dist/%s  %s\n", $9, $5 }')
