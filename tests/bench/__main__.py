"""Runs the benchmarks and prints one table. Arguments: parts of the names of those to run."""

import os
import subprocess
import sys

from tests.bench.table import Line, parse, show
from tests.bench.where import ROOT

EXCHANGE = ["cargo", "bench", "--quiet", "-p", "firesteel-ps", "--bench", "exchange", "--"]

# Each prints lines of the measures whose names begin so.
PROGRAMS = {
    "train": ["cargo", "bench", "--quiet", "-p", "firesteel-train", "--bench", "training"],
    "exchange": [*EXCHANGE, "--quick"],
    "scale": [*EXCHANGE, "workers"],
    "load": ["cargo", "bench", "--quiet", "-p", "firesteel-data", "--bench", "load"],
    "fit": [sys.executable, "-m", "tests.bench.fit"],
    "small": [sys.executable, "-m", "tests.bench.small"],
    "first": [sys.executable, "-m", "tests.bench.first"],
    "memory": [sys.executable, "-m", "tests.bench.memory"],
    "search": [sys.executable, "-m", "tests.bench.search"],
    "road": [sys.executable, "-m", "tests.bench.road"],
    "spread": [sys.executable, "-m", "tests.bench.spread"],
    "transform": [sys.executable, "-m", "tests.bench.transform"],
}


def run(program: list[str]) -> tuple[list[Line], int]:
    """The lines of a program, which also go to standard error as they come, and its exit status."""
    lines = []
    with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for text in process.stdout:
            print(text, end="", file=sys.stderr, flush=True)
            if line := parse(text):
                lines.append(line)
    return lines, process.returncode


def main() -> int:
    asked = sys.argv[1:]
    unknown = [name for name in asked if name not in PROGRAMS]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; use one of {', '.join(PROGRAMS)}", file=sys.stderr)
        return 2
    lines, failed = [], []
    for name in asked or PROGRAMS:
        print(f"--- {name}", file=sys.stderr, flush=True)
        found, status = run(PROGRAMS[name])
        lines += found
        if status != 0 or not found:
            failed.append(name)
    print(f"\n{os.cpu_count()} cores, medians over alternating rounds\n")
    print(show(lines))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
