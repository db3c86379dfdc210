#!/usr/bin/env bash
# Trains MNIST inside Spark: a driver and two executor JVMs on this machine. Arguments are passed to the example.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$ROOT/scripts/spark.sh"

submit 'local-cluster[2,1,2048]' 1g MnistMlp "${@:-$ROOT/examples/data}"
