#!/usr/bin/env bash
# step.sh HEADING COMMAND...: runs a step of the build under a heading and prints how long it took. Appends the time to
# FIRESTEEL_TIMES, if that names a file.
set -uo pipefail
heading="$1"
shift
if [ -t 2 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
printf '%s==> %s%s\n' "$bold" "$heading" "$plain" >&2
start=$(date +%s%N)
"$@"
code=$?
tenths=$((($(date +%s%N) - start) / 100000000))
if [ $code -eq 0 ]; then result='done'; else result="FAILED (exit status $code)"; fi
printf '    %s: %s, %d.%d s\n' "$heading" "$result" $((tenths / 10)) $((tenths % 10)) >&2
if [ -n "${FIRESTEEL_TIMES:-}" ]; then
  printf '%d.%d\t%s\n' $((tenths / 10)) $((tenths % 10)) "$heading" >> "$FIRESTEEL_TIMES"
fi
exit $code
