"""Writes docs/learning.md and its picture from what was measured.

`python -m tests.learning.page FOLDER`, where the folder has `learning.csv` (by StrategyTable),
`defaults.csv` and `target.csv` (by the modules of these names beside this one).
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean, median, stdev

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

# The same numbers give the same file.
matplotlib.rcParams["svg.hashsalt"] = "firesteel"
matplotlib.rcParams["svg.fonttype"] = "none"

# Gradients of one worker count are shades of one colour.
COLOURS = {1: "#1b4965", 2: "#2a9d8f", 4: "#8ab17d", 8: "#e9a23b", 16: "#d1495b", 20: "#7b2d8b"}

# What dist-keras falls to: ten classes.
CHANCE = 0.10

PUBLISHED = [
    # The notebooks of 20 workers and of 10: strategy, workers, window, accuracy.
    ("single", 1, 0, 0.9630),
    ("downpour", 20, 5, 0.9641),
    ("adag", 20, 15, 0.9739),
    ("aeasgd", 20, 35, 0.9488),
    ("single", 1, 0, 0.9700),
    ("downpour", 10, 5, 0.9662),
    ("adag", 10, 5, 0.9765),
    ("aeasgd", 10, 32, 0.9600),
    # Where it collapses.
    ("downpour", 20, 15, 0.29),
    ("downpour", 20, 50, CHANCE),
    ("aeasgd", 20, 1, CHANCE),
    ("aeasgd", 20, 5, CHANCE),
    ("aeasgd", 20, 15, CHANCE),
]


def read(path: Path) -> list[dict[str, str]]:
    """The lines of the CSV file."""
    with path.open() as file:
        return list(csv.DictReader(file))


def number(row: dict[str, str]) -> float | None:
    """A line's accuracy; none if its fit failed."""
    return float(row["accuracy"]) if row["accuracy"] else None


def of_batch(rows: list[dict[str, str]], batch: int) -> list[dict[str, str]]:
    """The lines of a batch size."""
    return [row for row in rows if int(row["batch"]) == batch]


def cell(row: dict[str, str] | None) -> str:
    """A line as a cell of the table: accuracy in percent and seconds."""
    if row is None:
        return "-"
    accuracy = number(row)
    return "failed" if accuracy is None else f"{100 * accuracy:.2f} ({float(row['seconds']):.0f})"


def grid(rows: list[dict[str, str]]) -> str:
    """A table in Markdown: strategies and windows down, workers across."""
    workers = sorted({int(row["workers"]) for row in rows})
    lines = [
        "| strategy | window | "
        + " | ".join(f"{count} worker{'s' if count > 1 else ''}" for count in workers)
        + " |",
        "| --- | --- |" + " --- |" * len(workers),
    ]
    by_place = {(r["strategy"], int(r["window"]), int(r["workers"])): r for r in rows}
    for strategy in dict.fromkeys(row["strategy"] for row in rows):
        for window in sorted({w for s, w, _ in by_place if s == strategy}):
            cells = [cell(by_place.get((strategy, window, count))) for count in workers]
            lines.append(f"| `{strategy}` | {window or '-'} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def published(rows: list[dict[str, str]]) -> str:
    """Ours beside dist-keras's notebooks, at default settings and with others."""
    found: dict[tuple[str, int, int], list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        found[row["strategy"], int(row["workers"]), int(row["window"])].append(row)
    lines = [
        "| strategy | workers | window | dist-keras | Firesteel, defaults | with settings |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for strategy, workers, window, theirs in PUBLISHED:
        ours, tuned = "not run", []
        for row in found[strategy, workers, window]:
            accuracy = number(row)
            shown = "failed" if accuracy is None else f"{100 * accuracy:.2f}"
            if row["settings"]:
                tuned.append(f"{shown} (`{row['settings'].replace(';', '`, `')}`)")
            else:
                ours = shown
        name = f"| `{strategy}` | {workers} | {window or '-'} "
        known = "chance" if theirs == CHANCE else f"{100 * theirs:.2f}"
        lines.append(f"{name}| {known} | {ours} | {'; '.join(tuned) or '-'} |")
    return "\n".join(lines)


def draw(rows: list[dict[str, str]], path: Path) -> None:
    """A small plot for each strategy: accuracy over the window, a line a number of workers."""
    strategies = list(dict.fromkeys(row["strategy"] for row in rows))
    columns = 4
    figure, axes = plt.subplots(
        -(-len(strategies) // columns), columns, figsize=(13, 8), sharey=True, squeeze=False
    )
    for axis in axes.flat[len(strategies) :]:
        axis.set_visible(False)
    for axis, strategy in zip(axes.flat, strategies, strict=False):
        series: dict[int, list[tuple[int, float]]] = defaultdict(list)
        for row in rows:
            accuracy = number(row)
            if row["strategy"] == strategy and accuracy is not None:
                series[int(row["workers"])].append((int(row["window"]), 100 * accuracy))
        counts = sorted(series)
        for place, workers in enumerate(counts):
            xs, ys = zip(*sorted(series[workers]), strict=True)
            places = range(len(xs)) if xs[0] else [place]
            axis.plot(places, ys, "o-", color=COLOURS.get(workers, "black"), label=f"{workers}")
            if xs[0]:
                axis.set_xticks(range(len(xs)), [str(x) for x in xs])
                axis.set_xlabel("window")
        if not axis.get_xlabel():
            axis.set_xticks(range(len(counts)), [str(count) for count in counts])
            axis.set_xlabel("workers")
        axis.set_title(strategy)
        axis.set_ylim(85, 99)
        axis.grid(alpha=0.3)
    for axis in axes[:, 0]:
        axis.set_ylabel("test accuracy, %")
    most = max(axes.flat, key=lambda axis: len(axis.lines))
    handles, labels = most.get_legend_handles_labels()
    figure.suptitle("MNIST, 784-1000-250-10, default settings, two passes")
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.legend(handles, labels, title="workers", loc="lower center", ncols=len(labels))
    figure.savefig(path, metadata={"Date": None})


def defaults(rows: list[dict[str, str]]) -> str:
    """Scores of fits at defaults by their workers, beside PyTorch's."""
    found: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    trained: dict[tuple[str, int], str] = {}
    for row in rows:
        found[row["task"], row["system"], int(row["workers"])].append(float(row["score"]))
        if row["system"] == "firesteel":
            trained[row["task"], int(row["workers"])] = row["trained"]
    counts = sorted({workers for _, system, workers in found if system == "firesteel"})
    lines = [
        "| task | PyTorch (deviation) | "
        + " | ".join(f"{count} worker{'s' if count > 1 else ''}" for count in counts)
        + " |",
        "| --- | --- |" + " --- |" * len(counts),
    ]
    for task in dict.fromkeys(row["task"] for row in rows):
        theirs = found[task, "pytorch", 1]
        digits = 4 if max(theirs) < 5 else 2
        deviation = stdev(theirs) if len(theirs) > 1 else 0.0
        cells = [f"{mean(theirs):.{digits}f} ({deviation:.{digits}f})"]
        for count in counts:
            ours = found.get((task, "firesteel", count))
            if not ours:
                cells.append("-")
                continue
            gap = mean(ours) - mean(theirs)
            change = f"{gap:+.2f}" if digits == 2 else f"{100 * gap / mean(theirs):+.1f} %"
            cells.append(f"{mean(ours):.{digits}f} ({change})")
        lines.append(f"| {task} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def target(rows: list[dict[str, str]]) -> str:
    """Seconds to a target accuracy: medians, and their ratio to PyTorch with one thread."""
    lines = ["| task | system | epochs | seconds | ratio | ratio of an epoch |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for task in dict.fromkeys(row["task"] for row in rows):
        by_system: dict[str, list[dict[str, str]]] = defaultdict(list)
        for row in rows:
            if row["task"] == task:
                by_system[row["system"]].append(row)
        goal = float(next(row["target"] for row in rows if row["task"] == task))

        def seconds(lines: list[dict[str, str]]) -> float:
            return median(float(line["seconds"]) for line in lines)

        def of_epoch(lines: list[dict[str, str]]) -> float:
            return median(float(line["seconds"]) / int(line["epochs"]) for line in lines)

        alone = by_system["PyTorch, 1 thread"]
        for system, measured in by_system.items():
            epochs = ", ".join(sorted({line["epochs"] for line in measured}))
            taken = seconds(measured)
            ratios = taken / seconds(alone), of_epoch(measured) / of_epoch(alone)
            lines.append(
                f"| {task}, {goal} % | {system} | {epochs} | {taken:.1f} | "
                f"{ratios[0]:.2f} | {ratios[1]:.2f} |"
            )
    return "\n".join(lines)


PAGE = """# Learning results

`make learn` writes this page and stores its measurements in `defaults.csv`, `target.csv` and
`learning.csv` in the same folder. It takes about an hour and a half on two idle cores.

## Fits at defaults beside PyTorch

Both systems train with the same optimizer, learning rate, batch size and number of epochs.
Firesteel's other settings are at their defaults, including the strategy `auto`
([algorithms.md](algorithms.md#the-default-auto)). The optimizer is Adam unless the task names
another. Every task trains on four fifths of its rows and is scored on the rest: accuracy in
percent, or the mean squared error of a regression. The values are means over five seeds. Three
small tasks with noisy scores have more seeds: twenty for diabetes and digits with batch norm, sixty
for the LSTM. Parentheses hold PyTorch's standard deviation and, for Firesteel, the difference from
PyTorch's mean.

The application has 16 slots; `auto` trains at most four workers with mini-batches of 32 rows, and
at most 16 with 128. The settings of `auto` were chosen on such held-out rows, never on MNIST's
test images.

{defaults}

## Time to a target accuracy

The targets are accuracies on MNIST's test images. The systems alternated within one run on two
cores; the values are medians of two rounds or more. PyTorch's time is that of the training loop,
with the images in memory and denormals flushed. Firesteel's time is that of `fit`, including
reading the cached rows. A run ends with the first epoch that reaches the target. That epoch differs
from seed to seed, so the last column compares the time per epoch.

{target}

## Strategies by workers and window, batches of 32

The fits train the perceptron 784-1000-250-10 of dist-keras's notebooks on MNIST, with Adam, for two
epochs, with each strategy's default settings, one fit per cell. The table has the test accuracy in
percent and, in parentheses, the seconds of the training job on two cores, where more than two
workers take turns. The machine was not idle during all fits, so the seconds are only a rough guide.

![accuracy by strategy, window and workers](learning.svg)

{grid}

## Beside the published figures: Adam, batches of 4

dist-keras ran each worker on a core of its own; here the workers take turns on two cores. Their
order differs from run to run, so the accuracy varies slightly. The default settings were chosen on
held-out training rows. The settings of the last column were chosen by the accuracy on the test
images, so expect slightly lower accuracy on other data.

{published}
"""


def main() -> int:
    """Writes the page and the picture."""
    folder = Path(sys.argv[1])
    rows = read(folder / "learning.csv")
    table = of_batch(rows, 32)
    page = PAGE.format(
        defaults=defaults(read(folder / "defaults.csv")),
        target=target(read(folder / "target.csv")),
        grid=grid(table),
        published=published(of_batch(rows, 4)),
    )
    (folder / "learning.md").write_text(page)
    draw(table, folder / "learning.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
