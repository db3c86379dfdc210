#!/usr/bin/env bash
# venv.sh NAME LINK: a virtual environment from scripts/requirements/NAME.txt, made once for each content
# of that file and Python version, linked as build/LINK.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

name="$1" link="$2"
requirements="$ROOT/scripts/requirements/$name.txt"
python="$(python_311)" || die "Python 3.11 or later is missing"
key="$({ "$python" -VV; cat "$requirements"; } | sha256sum | cut -c1-12)"
home="$CACHE/venv-$name-$key"

make_venv() {
  [ -e "$home/.complete" ] && return 0
  local packages=(-r "$requirements")
  if grep -q '^torch==' "$requirements"; then
    grep -qx "torch==$LIBTORCH_VERSION" "$requirements" || die "$name.txt and versions.sh differ in torch"
    packages+=("$("$ROOT/scripts/fetch-torch-wheel.sh")")
  fi
  say "making build/$link from scripts/requirements/$name.txt"
  rm -rf "$home"
  # Scripts in a virtual environment name its folder, so it cannot be renamed into place: .complete comes last.
  "$python" -m venv "$home" || die "python3-venv is missing (apt-get install python3-venv)"
  retry "$home/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}" >&2 ||
    die "pip could not install $requirements"
  touch "$home/.complete"
}

locked "venv-$name" make_venv
link_into_build "$home" "$link"
