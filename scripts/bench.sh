#!/usr/bin/env bash
# Runs every benchmark, one after the other, and prints one table of ratios.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

[ -e tests/bench ] || die "tests/bench is missing"
export PATH="$ROOT/build/venv-test/bin:$PATH"
exec build/venv-test/bin/python -m tests.bench "$@"
