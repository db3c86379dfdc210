#!/usr/bin/env bash
# example.sh NAME ARGUMENTS...: runs an example like its users do, on two cores of this machine. NAME is a program or the
# notebook of examples/ without its extension, or a class of the examples' jar.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

name="${1:?example.sh needs the name of an example}"
shift
export PATH="$ROOT/build/venv-test/bin:$PATH" PYTHONPATH="$ROOT/spark-plugin/python"
export LIBTORCH="$ROOT/build/libtorch" SPARK_LOCAL_IP=127.0.0.1
if [ -f "examples/$name.py" ]; then
  python "examples/$name.py" "$@"
elif [ -f "examples/$name.ipynb" ]; then
  mkdir -p /tmp/firesteel
  python scripts/notebook.py "examples/$name.ipynb" "/tmp/firesteel/$name.ipynb"
elif [ -f "examples/src/main/scala/firesteel/examples/$name.scala" ]; then
  source "$ROOT/scripts/spark.sh"
  submit 'local[2]' 2g "$name" "${@:-examples/data}"
else
  die "there is no example '$name'"
fi
