#!/usr/bin/env bash
# build/stubs: stubs of the two CUDA libraries that the CPU libtorch depends on.
# They are in a separate folder, because an executor with a GPU must not find them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

torch="$ROOT/build/libtorch/lib/libtorch_cpu.so"
[ -e "$torch" ] || die "build/libtorch is missing; run scripts/libtorch.sh"
source_folder="$ROOT/native/stubs"

# needed SONAME: the functions that libtorch_cpu takes from it.
needed() {
  readelf --wide --dyn-syms "$torch" | awk -v at="@$1" '$7 == "UND" && index($8, at) { sub(/@.*/, "", $8); print $8 }' | sort -u
}
provided() {
  readelf --wide --dyn-syms "$1" | awk '$7 != "UND" && $4 == "FUNC" { sub(/@.*/, "", $8); print $8 }' | sort -u
}

temp="$(mktemp -d "$ROOT/build/.stubs.XXXXXX")"
trap 'rm -rf "$temp"' EXIT
for name in cudart cupti; do
  library="$temp/lib$name.so.13"
  "${CC:-cc}" -std=c11 -O2 -Wall -Wextra -Werror -shared -fPIC -s -Wl,-soname,"lib$name.so.13" \
    -Wl,--version-script="$source_folder/$name.map" -o "$library" "$source_folder/$name.c"
  lacking="$(comm -23 <(needed "lib$name.so.13") <(provided "$library"))"
  [ -z "$lacking" ] || die "libtorch $LIBTORCH_VERSION needs functions that native/stubs/$name.c lacks:" $lacking
done
mkdir -p "$ROOT/build/stubs"
for library in "$temp"/*.so.13; do
  chmod 755 "$library"
  mv "$library" "$ROOT/build/stubs/"
done
