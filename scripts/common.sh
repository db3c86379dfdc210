# shellcheck shell=bash
# Sourced by the other scripts: paths, messages, and locks between set-ups that run at once.
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
CACHE="${FIRESTEEL_CACHE:-$HOME/.cache/firesteel}"
# shellcheck source=scripts/versions.sh
source "$ROOT/scripts/versions.sh"
mkdir -p "$CACHE" "$ROOT/build"

say() { printf '    %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# retry COMMAND...: three attempts with pauses, because registries fail now and then.
retry() {
  local attempt
  for attempt in 1 2 3; do
    "$@" && return 0
    [ "$attempt" = 3 ] || { say "attempt $attempt failed, trying again: $1"; sleep $((attempt * 5)); }
  done
  return 1
}

# locked NAME COMMAND...: one at a time on this machine, over all checkouts that share the cache.
locked() {
  local lock_file="$CACHE/.$1.lock"
  shift
  (
    flock 9
    "$@" 9>&- # no child process may keep the lock
  ) 9>"$lock_file"
}

# link_into_build TARGET NAME: build/NAME -> TARGET, replaced atomically, and only if it differs.
link_into_build() {
  local link="$ROOT/build/$2"
  [ "$(readlink "$link" 2>/dev/null)" = "$1" ] && return 0
  [ -L "$link" ] || [ ! -e "$link" ] || die "build/$2 exists and is not a link; remove it"
  ln -s "$1" "$link.$$" && mv -T "$link.$$" "$link"
}

# python_311: the first Python of 3.11 or later.
python_311() {
  local candidate
  for candidate in "${PYTHON:-python3}" python3.11 python3.12 python3.13 python3.14; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return 0
    fi
  done
  return 1
}
