"""The lines that benchmarks print, and the table of them."""

from dataclasses import dataclass

MLP = "MLP 784-500-300-10"
FLUSHED = "PyTorch, denormals flushed"

# What a line's name stands for: the measure, its unit, and what it is beside.
MEASURES = {
    "train-momentum-4": (f"training, {MLP}, SGD with momentum, batch 4", "rows/s", FLUSHED),
    "train-momentum-4-denormals": ("", "rows/s", "PyTorch"),
    "train-momentum-32": ("training, SGD with momentum, batch 32", "rows/s", FLUSHED),
    "train-momentum-32-denormals": ("", "rows/s", "PyTorch"),
    "train-momentum-128": ("training, SGD with momentum, batch 128", "rows/s", FLUSHED),
    "train-momentum-128-denormals": ("", "rows/s", "PyTorch"),
    "train-adam-4": ("training, Adam, batch 4", "rows/s", FLUSHED),
    "train-adam-4-denormals": ("", "rows/s", "PyTorch"),
    "train-adam-32": ("training, Adam, batch 32", "rows/s", FLUSHED),
    "train-adam-32-denormals": ("", "rows/s", "PyTorch"),
    "train-adam-128": ("training, Adam, batch 128", "rows/s", FLUSHED),
    "train-adam-128-denormals": ("", "rows/s", "PyTorch"),
    "train-embeddings-256": ("training, 10 embeddings, SGD, batch 256", "rows/s", "PyTorch"),
    "train-embeddings-256-sparse": ("", "rows/s", "PyTorch, sparse=True"),
    "train-wide-128": (
        "training, 100,000 sparse features, SGD, batch 128",
        "rows/s",
        "PyTorch, dense",
    ),
    "train-wide-128-sparse": ("", "rows/s", "PyTorch, torch.sparse.mm"),
    "train-wide-128-bag": ("", "rows/s", "PyTorch, EmbeddingBag(sparse=True)"),
    "two-workers": ("two workers", "rows/s", "one worker"),
    "overlap-5": ("overlap, 1 Gbit/s, window 5", "rows/s", "no overlap"),
    "overlap-15": ("overlap, window 15", "rows/s", "no overlap"),
    "overlap-50": ("overlap, window 50", "rows/s", "no overlap"),
    "fit": ("whole fit, 5 epochs of MNIST, 2 workers", "s", "the engine alone"),
    "small-default": ("fit of 1,000 rows less an empty job, 2 workers", "ms", ""),
    "small-downpour": ("", "ms", ""),
    "small-single": ("", "ms", ""),
    "first": ("first fit of a session, 3 epochs of MNIST", "s", "the second fit"),
    "road-array": ("DataFrame to native, array<float>, cached", "rows/s", "mapInPandas, identity"),
    "road-array-taken": ("", "rows/s", "mapInPandas, taking only"),
    "road-binary": ("DataFrame to native, binary, cached", "rows/s", "mapInPandas, identity"),
    "road-binary-taken": ("", "rows/s", "mapInPandas, taking only"),
    "pull-then-commit-2.2MB": ("pull + commit of 2.2 MB", "GB/s", "raw sockets"),
    "exchange-2.2MB": ("commit and pull in one exchange", "GB/s", "raw sockets"),
    "apply-axpy-0.5MB": ("applying a commit of 0.5 MB", "GB/s", "axpy over as much memory"),
    "apply-axpy-4MB": ("applying a commit of 4 MB", "GB/s", "axpy"),
    "apply-axpy-100MB": ("applying a commit of 100 MB", "GB/s", "axpy"),
    "spread-array-cached-auto": ("read array<float>, cached, mixed: auto", "s", "never"),
    "spread-array-cached-always": ("read array<float>, cached, mixed: always", "s", "never"),
    "spread-array-parquet-auto": ("read array<float>, Parquet, mixed: auto", "s", "never"),
    "spread-array-parquet-always": ("read array<float>, Parquet, mixed: always", "s", "never"),
    "spread-array-sorted-auto": ("read array<float>, Parquet by label: auto", "s", "never"),
    "spread-array-sorted-always": ("read array<float>, Parquet by label: always", "s", "never"),
    "spread-binary-cached-auto": ("read binary, cached, mixed: auto", "s", "never"),
    "spread-binary-cached-always": ("read binary, cached, mixed: always", "s", "never"),
    "spread-binary-parquet-auto": ("read binary, Parquet, mixed: auto", "s", "never"),
    "spread-binary-parquet-always": ("read binary, Parquet, mixed: always", "s", "never"),
    "spread-binary-sorted-auto": ("read binary, Parquet by label: auto", "s", "never"),
    "spread-binary-sorted-always": ("read binary, Parquet by label: always", "s", "never"),
    "spread-fit-auto": ("fit of one epoch, Parquet, mixed: auto", "s", "never"),
    "spread-fit-always": ("fit of one epoch, Parquet, mixed: always", "s", "never"),
    "transform-array": ("transform, array<float>, cached", "rows/s", "pandas_udf with torch"),
    "transform-binary": ("transform, binary, cached", "rows/s", "pandas_udf with torch"),
    "memory": ("peak memory of the fit, all processes", "GB", "-"),
}

# Aims of lines whose program knows none.
AIMS = {"pull-then-commit-2.2MB": "0.8", "exchange-2.2MB": "0.8"}


@dataclass(frozen=True)
class Line:
    """One measure."""

    name: str
    ours: float
    beside: float | None
    aim: str | None

    @property
    def ratio(self) -> float:
        """Ours / beside, or ours where there is nothing beside."""
        return self.ours if self.beside is None else self.ours / self.beside

    @property
    def verdict(self) -> str:
        """The aim, marked when it is missed."""
        if self.aim is None:
            return ""
        at_most = self.aim.startswith("<=")
        bound = float(self.aim.removeprefix("<="))
        met = self.ratio <= bound if at_most else self.ratio >= bound
        return self.aim if met else f"{self.aim} missed"


def parse(text: str) -> Line | None:
    """The line's measure, if it is one."""
    words = text.split()
    if len(words) < 4 or words[0] != "bench":
        return None
    values = dict(zip(words[2::2], words[3::2], strict=False))
    if "ours" not in values:
        return None
    beside = values.get("beside")
    aim = values.get("aim", AIMS.get(words[1]))
    return Line(words[1], float(values["ours"]), float(beside) if beside else None, aim)


def show(lines: list[Line]) -> str:
    """The lines as a table; those without a description come last, under their names."""
    order = {name: index for index, name in enumerate(MEASURES)}
    rows = [("measure", "unit", "ours", "beside", "", "ratio", "aim")]
    for line in sorted(lines, key=lambda line: order.get(line.name, len(order))):
        what, unit, beside = MEASURES.get(line.name, (line.name, "", ""))
        rows.append(
            (
                what,
                unit,
                number(line.ours),
                beside,
                "" if line.beside is None else number(line.beside),
                "" if line.beside is None else f"{line.ratio:.2f}",
                line.verdict,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    right = {2, 4, 5}
    texts = [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([texts[0], "-" * max(map(len, texts)), *texts[1:]])


def number(value: float) -> str:
    """Three digits or more."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
