#!/usr/bin/env bash
# Trains MNIST with every strategy, number of workers and window, and several tasks at defaults beside PyTorch (an hour
# and a half on two idle cores), and writes docs/learning.md. Results that the CSV files in docs already have are not
# measured again. Arguments are passed to the program of the strategies.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$ROOT/scripts/spark.sh"
cd "$ROOT"

table() {
  submit 'local[2]' 3g StrategyTable data=examples/data out=docs/learning.csv "$@"
}

table "$@"
# The results that dist-keras published with their settings.
table batch=4 strategies=single "$@"
table batch=4 strategies=downpour workers=10,20 windows=5 "$@"
table batch=4 strategies=adag workers=10 windows=5 "$@"
table batch=4 strategies=adag workers=20 windows=15 "$@"
table batch=4 strategies=aeasgd workers=10 windows=32 "$@"
table batch=4 strategies=aeasgd workers=20 windows=35 "$@"
# Where dist-keras falls to chance.
table batch=4 strategies=downpour workers=20 windows=15,50 "$@"
table batch=4 strategies=aeasgd workers=20 windows=1,5,15 "$@"
# With a learning rate that falls and smoothed labels.
table batch=4 strategies=single 'settings=schedule="cosine";labelSmoothing=0.1' "$@"
table batch=4 strategies=adag workers=10 windows=5 'settings=schedule="cosine";labelSmoothing=0.1' "$@"
python=build/venv-test/bin/python
export PYTHONPATH="$ROOT/spark-plugin/python"
"$python" -m tests.learning.defaults docs/defaults.csv
[ -e docs/target.csv ] || "$python" -m tests.learning.target docs/target.csv
"$python" -m tests.learning.page docs
