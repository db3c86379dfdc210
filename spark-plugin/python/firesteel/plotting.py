"""Plots of a training, with matplotlib, which is optional."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

try:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ImportError as error:
    raise ImportError(
        "summary.plot() needs matplotlib: pip install 'firesteel[plot]'", name="matplotlib"
    ) from error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from firesteel.summary import TrainingSummary

_WIDTH, _HEIGHT = 5.0, 3.5
_OWN_LOSS = "_loss"


class _Picture(Figure):
    """A figure that a notebook shows even if pyplot is not imported."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def plot_summary(summary: TrainingSummary) -> Figure:
    """Draws losses by epoch, and the metrics of validation rows if there are any.

    The losses of a network's outputs are drawn beside their sum.
    """
    names = sorted(
        {
            metric.name
            for epoch in summary.epochs
            if epoch.validation
            for metric in epoch.validation.metrics
            if metric.value is not None
        }
    )
    metrics = [name for name in names if not name.endswith(_OWN_LOSS)]
    panels = 2 if metrics else 1
    figure = _Picture(figsize=(_WIDTH * panels, _HEIGHT), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    _draw(axes[0], "training", [(e.epoch, e.loss) for e in summary.epochs])
    _draw(
        axes[0],
        "validation",
        [(e.epoch, e.validation.loss if e.validation else None) for e in summary.epochs],
        "--",
    )
    for name in names:
        points = [
            (e.epoch, e.validation.metric(name) if e.validation else None) for e in summary.epochs
        ]
        _draw(axes[1 if name in metrics else 0], name, points)
    _finish(axes[0], "loss", summary.bestEpoch)
    if metrics:
        _finish(axes[1], "metrics of validation rows", summary.bestEpoch)
    return figure


def _draw(axes: Axes, label: str, points: list[tuple[int, float | None]], style: str = "-") -> None:
    """Draws the known values; epochs are counted from 1."""
    known = [(epoch + 1, value) for epoch, value in points if value is not None]
    if known:
        xs, ys = zip(*known, strict=True)
        axes.plot(xs, ys, style, marker=".", label=label)


def _finish(axes: Axes, title: str, best: int | None) -> None:
    if best is not None:
        axes.axvline(best + 1, color="grey", linestyle=":", label="best epoch")
    axes.set_xlabel("epoch")
    axes.set_title(title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
