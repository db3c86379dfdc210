#!/usr/bin/env bash
# prerequisites.sh [test]: checks the prerequisites of the set-up, or of the tests as well; lists missing ones and the
# commands that install them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

missing=()
packages=()
lacks() { # WHAT PACKAGE...
  missing+=("$1")
  shift
  packages+=("$@")
}
has() { command -v "$1" >/dev/null 2>&1; }

[ "$(uname -s) $(uname -m)" = "Linux x86_64" ] || die "Firesteel is built on Linux x86-64; this is $(uname -s) $(uname -m)"

# The oldest one that the system's release has.
jdk() {
  local version
  for version in 17 21 25; do
    if apt-cache show "openjdk-$version-jdk-headless" >/dev/null 2>&1; then break; fi
  done
  echo "openjdk-$version-jdk-headless"
}
java_major() { "$1" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -1; }
if ! has javac || ! has java; then
  lacks "JDK 17 or later (javac)" "$(jdk)"
elif [ "$(java_major java)" -lt 17 ]; then
  lacks "JDK 17 or later (java on the PATH is version $(java_major java))" "$(jdk)"
fi
has git || lacks "git" git
has make || lacks "make" make
has "${CC:-cc}" && has "${CXX:-c++}" || lacks "C++ compiler" build-essential
has readelf && has strip || lacks "binutils (readelf, strip)" binutils
has flock || lacks "flock" util-linux
has openssl || lacks "openssl" openssl
has sbt || has mvn || lacks "sbt or Maven" maven
if python="$(python_311)"; then
  "$python" -c 'import ensurepip, venv' 2>/dev/null || lacks "venv of $(basename "$python")" "$(basename "$python")-venv"
  "$python" -m pip --version >/dev/null 2>&1 || lacks "pip of $(basename "$python")" python3-pip
elif has python3; then # of an older release, such as Ubuntu 22.04
  lacks "Python 3.11 or later (python3 is $(python3 -V))" python3.11 python3.11-venv python3-pip
else
  lacks "Python 3.11 or later" python3 python3-venv python3-pip
fi
if [ "${1:-}" = test ]; then has chromium || lacks "Chromium, which the tests of the job server's page drive" chromium; fi
rust=true
wanted_rust="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml")"
if ! has cargo || ! has rustc; then
  rust=false
  lacks "Rust $wanted_rust or later (cargo, rustc)" curl ca-certificates
elif ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
  missing+=("rustfmt and clippy (with rustup: rustup component add rustfmt clippy)")
else
  own_rust="$(cd "$ROOT" && rustc --version | cut -d' ' -f2)"
  if [ "$(printf '%s\n' "$wanted_rust" "$own_rust" | sort -V | head -1)" != "$wanted_rust" ]; then
    missing+=("Rust $wanted_rust or later (this is $own_rust; with rustup: rustup update)")
  fi
fi

free="$(df --output=avail -k "$CACHE" | tail -1)"
[ "$free" -gt 3000000 ] || missing+=("3 GB of free space in $CACHE (or set FIRESTEEL_CACHE)")

[ ${#missing[@]} -gt 0 ] || exit 0
{
  echo "Missing prerequisites:"
  printf '  - %s\n' "${missing[@]}"
  if [ ${#packages[@]} -gt 0 ]; then
    echo "On Debian or Ubuntu:"
    echo "  sudo apt-get install $(printf '%s\n' "${packages[@]}" | sort -u | tr '\n' ' ')"
  fi
  if ! $rust; then
    echo "Rust, from https://rustup.rs:"
    echo "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
  fi
} >&2
exit 1
