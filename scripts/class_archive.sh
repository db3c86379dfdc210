#!/usr/bin/env bash
# class_archive.sh ARCHIVE FLAG...: writes the classes that a fit loads from the Spark of build/venv into an archive. A
# JVM that is started with the same flags and the archive (-XX:SharedArchiveFile) maps them into memory, and need not read
# and verify them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
archive="$1"
shift
# Beside the archive, so that the move at the end cannot leave a part of it.
folder="$(mktemp -d "$(dirname "$archive")/.classes.XXXXXX")"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export PATH="$ROOT/build/venv/bin:$PATH" SPARK_LOCAL_DIRS="$folder"
unset LIBTORCH SPARK_HOME PYTHONPATH
# The options of the driver alone: the JVM that starts it would overwrite the archive.
JAVA_TOOL_OPTIONS="$*" spark-submit --master 'local[2]' \
  --driver-java-options "-XX:ArchiveClassesAtExit=$folder/archive -Xlog:cds=off -Xlog:cds+dynamic=off" \
  --conf spark.ui.enabled=false \
  --conf spark.plugins=firesteel.plugin.FiresteelPlugin \
  --conf spark.firesteel.libtorch.path="$(readlink -f "$ROOT/build/libtorch")" \
  --jars "$ROOT/build/firesteel.jar" --class firesteel.e2e.FitMnist \
  "$ROOT/build/firesteel-e2e.jar" data="$ROOT/examples/data" epochs=1 > "$folder/log" 2>&1 ||
  die "$(tail -n 40 "$folder/log")"
[ -s "$folder/archive" ] || die "no archive of classes: $(tail -n 40 "$folder/log")"
mv "$folder/archive" "$archive"
