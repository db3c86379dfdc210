#!/usr/bin/env bash
# build/libtorch: headers and the CPU libraries, cut out of the PyPI wheel of torch.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

home="$CACHE/libtorch-$LIBTORCH_VERSION-cpu"

assemble() {
  [ "$(cat "$home/build-version" 2>/dev/null)" = "$LIBTORCH_VERSION" ] && return 0
  local wheel temp
  wheel="$("$ROOT/scripts/fetch-torch-wheel.sh")"
  say "assembling libtorch $LIBTORCH_VERSION"
  temp="$(mktemp -d "$CACHE/.libtorch.XXXXXX")"
  "$(python_311)" - "$wheel" "$temp" <<'PY'
import pathlib, shutil, sys, zipfile

wheel, target = zipfile.ZipFile(sys.argv[1]), pathlib.Path(sys.argv[2])
libraries = {"libtorch_cpu.so", "libc10.so"}
found = set()
for entry in wheel.infolist():
    path = pathlib.PurePosixPath(entry.filename)
    if entry.is_dir():
        continue
    is_gomp = path.name.startswith("libgomp")
    if path.parts[:2] == ("torch", "include"):
        place = target.joinpath(*path.parts[1:])
    elif path.parts[0] in ("torch", "torch.libs") and (path.name in libraries or is_gomp):
        place = target / "lib" / path.name
        found.add("libgomp" if is_gomp else path.name)
    elif path.parts[0].endswith(".dist-info") and path.parts[1:2] == ("licenses",):
        place = target / pathlib.Path(*path.parts[1:])
    elif entry.filename == "torch/version.py":
        place = target / path.name
    else:
        continue
    place.parent.mkdir(parents=True, exist_ok=True)
    with wheel.open(entry) as source, place.open("wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
missing = (libraries | {"libgomp"}) - found
if missing:
    sys.exit(f"the wheel {sys.argv[1]} lacks {sorted(missing)}")
PY
  grep -q "__version__ = '$LIBTORCH_VERSION" "$temp/version.py" ||
    die "$(basename "$wheel") is not version $LIBTORCH_VERSION: $(grep __version__ "$temp/version.py")"
  # torch-sys links -ltorch, which the CPU set needs nothing from: libtorch_cpu.so stands in for it.
  ln -s libtorch_cpu.so "$temp/lib/libtorch.so"
  # Without this file torch-sys checks no version at all.
  printf '%s\n' "$LIBTORCH_VERSION" >"$temp/build-version"
  chmod 755 "$temp"
  rm -rf "$home"
  mv -T "$temp" "$home"
}

locked libtorch assemble
link_into_build "$home" libtorch
