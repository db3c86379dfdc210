"""The training summary of a model."""

from __future__ import annotations

import base64
import io
import sys
from dataclasses import asdict
from pathlib import Path

import matplotlib.image
import nbclient
import nbformat
import pytest
from conftest import ROOT
from firesteel.classification import NetworkClassificationModel
from firesteel.summary import (
    EpochSummary,
    LedgerEntry,
    MetricSummary,
    TrainingSummary,
    ValidationSummary,
)
from pyspark.sql import DataFrame, SparkSession

FRAMES = ["history", "workerHistory", "workerTotals", "taskTotals", "fitTotals", "stalenessCounts"]


def test_the_summary_has_typed_values(model: NetworkClassificationModel) -> None:
    summary = model.summary
    assert isinstance(summary, TrainingSummary)
    assert [type(epoch) for epoch in summary.epochs] == [EpochSummary] * 5
    assert summary.losses[-1] < summary.losses[0]
    assert (summary.workers, summary.tasks, summary.rowsTrained) == (2, 2, 5 * 240)
    assert summary.rowsPerSecond == summary.rowsTrained / summary.seconds > 0
    assert len(summary.validationLosses) == 5 and summary.epochs[0].validation.rows == 60
    assert summary.validationMetric("accuracy")[-1] > 0.9
    assert summary.validationMetric("unknown") == []
    assert all(isinstance(entry, LedgerEntry) and entry.spans for entry in summary.ledger)
    assert sum(entry.rows for entry in summary.ledger) == summary.rowsTrained
    assert summary.commits == sum(worker.commits for worker in summary.byWorker)
    assert summary.stopped is None


@pytest.mark.parametrize("name", FRAMES)
def test_the_frames_are_those_of_scala(
    spark: SparkSession, model: NetworkClassificationModel, name: str
) -> None:
    ours = getattr(model.summary, name)
    theirs = DataFrame(getattr(model._java_obj.summary(), name)(), spark)
    assert ours.dtypes == theirs.dtypes
    assert ours.count() > 0 and ours.collect() == theirs.collect()


def test_the_frames_of_totals_have_the_typed_values(model: NetworkClassificationModel) -> None:
    summary = model.summary
    for frame, values in [
        (summary.workerTotals, summary.byWorker),
        (summary.taskTotals, summary.byTask),
    ]:
        assert [row.asDict() for row in frame.collect()] == [asdict(value) for value in values]
    (totals,) = [row.asDict() for row in summary.fitTotals.collect()]
    assert totals == {name: getattr(summary, name) for name in totals}
    assert totals["seconds"] > 0 and totals["commits"] > 0 and totals["stopped"] is None
    counts = [tuple(row) for row in summary.stalenessCounts.collect()]
    assert counts == list(enumerate(summary.stalenessHistogram))
    assert sum(commits for _, commits in counts) == summary.commits


def test_the_frames_are_the_same_after_the_model_was_loaded(
    model: NetworkClassificationModel, tmp_path: Path
) -> None:
    model.save(str(tmp_path / "model"))
    loaded = NetworkClassificationModel.load(str(tmp_path / "model")).summary
    for name in FRAMES:
        assert getattr(loaded, name).collect() == getattr(model.summary, name).collect(), name


def test_the_plot_shows_losses_and_metrics(
    model: NetworkClassificationModel, tmp_path: Path
) -> None:
    figure = model.summary.plot()
    losses, metrics = figure.axes
    assert [line.get_label() for line in losses.lines] == ["training", "validation", "best epoch"]
    assert [line.get_label() for line in metrics.lines] == ["accuracy", "best epoch"]
    assert list(losses.lines[0].get_ydata()) == model.summary.losses
    assert list(losses.lines[0].get_xdata()) == [1, 2, 3, 4, 5]
    figure.savefig(tmp_path / "plot.png")
    assert matplotlib.image.imread(tmp_path / "plot.png").std() > 0


def test_the_losses_of_several_outputs_are_drawn_with_their_sum() -> None:
    values = {"kind_loss": 0.5, "price_loss": 2.0, "kind_accuracy": 0.75, "price_mae": 1.5}
    metrics = [MetricSummary(name, value) for name, value in values.items()]
    epochs = [
        EpochSummary(n, 3.0, 8, validation=ValidationSummary(n, 4, 2.5, metrics)) for n in (0, 1)
    ]
    figure = TrainingSummary(16, 1.0, 1, 1, 1, 0, 0.0, 0, 1.0, 0.0, epochs=epochs).plot()
    drawn = [
        {line.get_label(): line.get_ydata()[-1] for line in axes.lines} for axes in figure.axes
    ]
    assert drawn == [
        {"training": 3.0, "validation": 2.5, "kind_loss": 0.5, "price_loss": 2.0},
        {"kind_accuracy": 0.75, "price_mae": 1.5},
    ]


def test_a_notebook_shows_the_plot_without_further_imports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "spark-plugin/python"))
    epochs = '[{"epoch": 0, "loss": 2.0, "rows": 9}, {"epoch": 1, "loss": 1.0, "rows": 9}]'
    numbers = ("rowsTrained", "seconds", "workers", "tasks", "commits", "bytes", "stalenessMean")
    rest = ("stalenessMax", "compressionRatio", "compressionError")
    text = ", ".join([f'"epochs": {epochs}', *(f'"{name}": 1' for name in (*numbers, *rest))])
    notebook = nbformat.v4.new_notebook()
    code = f"""from firesteel.summary import TrainingSummary
TrainingSummary.from_json('{{{text}}}').plot()"""
    notebook.cells = [nbformat.v4.new_code_cell(code)]
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    (shown,) = notebook.cells[0].outputs
    picture = base64.b64decode(shown["data"]["image/png"])
    assert matplotlib.image.imread(io.BytesIO(picture)).std() > 0


def test_without_matplotlib_the_plot_says_what_to_install(
    model: NetworkClassificationModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = model.summary
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "firesteel.plotting", raising=False)
    with pytest.raises(ImportError, match=r"needs matplotlib: pip install 'firesteel\[plot\]'"):
        summary.plot()
