#!/usr/bin/env bash
# times.sh FILE: prints the steps that step.sh wrote to a file, with their seconds and their sum.
set -euo pipefail
awk -F'\t' '
  { printf "%9.1f s  %s\n", $1, $2; sum += $1 }
  END { printf "%9.1f s  together\n", sum }
' "$1"
