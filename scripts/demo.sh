#!/usr/bin/env bash
# Trains MNIST inside Spark: a driver and two executor JVMs on this machine. Arguments go to the example.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$ROOT/scripts/spark.sh"

spark-submit \
  --master 'local-cluster[2,1,2048]' \
  --driver-memory 1g \
  --conf spark.executor.memory=1g \
  --conf spark.plugins=firesteel.plugin.FiresteelPlugin \
  --conf spark.firesteel.libtorch.path="$ROOT/build/libtorch" \
  --conf spark.ui.enabled=false \
  --conf spark.driver.extraJavaOptions="$java_options" \
  --conf spark.executor.extraJavaOptions="$java_options" \
  --jars "$ROOT/build/firesteel.jar" \
  --class firesteel.examples.MnistMlp \
  "$ROOT/build/firesteel-examples.jar" "${@:-$ROOT/examples/data}"
