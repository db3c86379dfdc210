#!/usr/bin/env bash
# Does it learn? Trains MNIST with every strategy, number of workers and window (hours on two cores), and draws the table
# that docs/learning.md shows. What docs/learning.csv has already is not trained again. Arguments go to the program.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

unset LIBTORCH SPARK_HOME
export SPARK_LOCAL_IP=127.0.0.1
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cp scripts/log4j2.properties "$work"
build/venv/bin/spark-submit \
  --master 'local[2]' \
  --driver-memory 3g \
  --conf spark.plugins=firesteel.plugin.FiresteelPlugin \
  --conf spark.firesteel.libtorch.path="$ROOT/build/libtorch" \
  --conf spark.ui.enabled=false \
  --conf spark.local.dir="$work" \
  --conf spark.driver.extraJavaOptions="-Dlog4j2.configurationFile=file:$work/log4j2.properties" \
  --jars build/firesteel.jar \
  --class firesteel.examples.StrategyTable \
  build/firesteel-examples.jar data=examples/data out=docs/learning.csv "$@"
build/venv-plots/bin/python examples/learning.py docs/learning.csv docs/learning.md docs/learning.svg
