#!/usr/bin/env bash
# site/: the documentation site, with the API pages of Scala and Rust.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

# The variable silences an advertisement.
NO_MKDOCS_2_WARNING=1 build/venv-docs/bin/mkdocs build --quiet --strict
scripts/sbt --error firesteel/doc
mkdir -p site/api
cp -r "spark-plugin/target/scala-$SCALA_BINARY/api" site/api/scala
cargo doc --quiet --workspace --no-deps --lib
cp -r "${CARGO_TARGET_DIR:-target}/doc" site/api/rust
say "site/index.html"
