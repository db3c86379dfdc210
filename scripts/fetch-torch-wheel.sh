#!/usr/bin/env bash
# Downloads the PyPI wheel of torch into the cache (527 MB) and prints its path.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

fetch() {
  local python tag
  python="$(python_311)" || die "Python 3.11 or later is missing"
  tag="$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')"
  mkdir -p "$CACHE/wheels"
  if ! ls "$CACHE/wheels/torch-$LIBTORCH_VERSION-$tag-"*.whl >/dev/null 2>&1; then
    say "downloading torch $LIBTORCH_VERSION from PyPI (527 MB)"
    local temp="$CACHE/wheels/.download.$$"
    mkdir -p "$temp"
    retry "$python" -m pip download --quiet --no-cache-dir --no-deps --only-binary :all: -d "$temp" \
      "torch==$LIBTORCH_VERSION" >&2 || die "could not download torch $LIBTORCH_VERSION"
    mv "$temp"/*.whl "$CACHE/wheels/"
    rmdir "$temp"
  fi
  ls "$CACHE/wheels/torch-$LIBTORCH_VERSION-$tag-"*.whl
}

locked wheel fetch
