#!/usr/bin/env bash
# times.sh FILE: prints the steps that step.sh wrote to a file, with their seconds, and the seconds since FILE.start was
# written, which are fewer than their sum: some steps run side by side.
set -euo pipefail
awk -F'\t' -v elapsed=$(($(date +%s) - $(cat "$1.start"))) '
  { printf "%9.1f s  %s\n", $1, $2; sum += $1 }
  END { printf "%9.1f s  together, in %d s\n", sum, elapsed }
' "$1"
