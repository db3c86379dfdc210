"""The training summary, as values and as DataFrames of the active session.

The names are those of the JVM's summary; docs/summary.md of the project explains them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import from_json, inline, lit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")

_HISTORY = (
    "loss double, rows bigint, learningRate double, validationLoss double, "
    "validationRows bigint, metrics map<string,double>"
)


@dataclass(frozen=True)
class MetricSummary:
    """The value of a metric.

    Parameters
    ----------
    name : str
        ``accuracy`` and the like. With several outputs ``<output>_<metric>``, and
        ``<output>_loss`` for the output's own loss.
    value : float, optional
        None if it is undefined, such as the AUC of rows of one class, and for a confusion
        matrix.
    errorBound : float, optional
        The largest difference from the exact value, for the AUC.
    matrix : list of list of float, optional
        The weights of rows by class and predicted class, for the confusion matrix.
    """

    name: str
    value: float | None = None
    errorBound: float | None = None
    matrix: list[list[float]] | None = None


@dataclass(frozen=True)
class ValidationSummary:
    """The results of validation: number of rows, mean loss, and metrics.

    ``version`` is the number of updates of the center variable that was scored.
    """

    version: int
    rows: int
    loss: float | None = None
    metrics: list[MetricSummary] = field(default_factory=list)

    def metric(self, name: str) -> float | None:
        """Returns the value of a metric, or None if it was not requested or is undefined."""
        return next((metric.value for metric in self.metrics if metric.name == name), None)


@dataclass(frozen=True)
class EpochSummary:
    """One pass over the data, counted from 0: loss and learning rate, means over the workers."""

    epoch: int
    loss: float
    rows: int
    learningRate: float | None = None
    validation: ValidationSummary | None = None


@dataclass(frozen=True)
class WorkerSummary:
    """The exchange of one worker with the parameter server, over all of its attempts."""

    partition: int
    index: int
    rows: int
    commits: int
    stalenessMean: float
    stalenessMax: int
    bytes: int
    waitSeconds: float
    applySeconds: float
    compressionRatio: float
    compressionError: float


@dataclass(frozen=True)
class TaskSummary:
    """The time of one task, for the attempt that finished."""

    partition: int
    attempt: int
    workers: int
    seconds: float
    computeSeconds: float
    gatherSeconds: float
    evaluateSeconds: float
    waitSeconds: float


@dataclass(frozen=True)
class LedgerSpan:
    """Consecutive mini-batches that one attempt of a task applied."""

    attempt: int
    start: int
    batches: int
    rows: int


@dataclass(frozen=True)
class LedgerEntry:
    """The mini-batches of one epoch of one worker that were applied."""

    partition: int
    index: int
    epoch: int
    rows: int
    supersededRows: int
    spans: list[LedgerSpan] = field(default_factory=list)
    loss: float | None = None
    learningRate: float | None = None
    validation: ValidationSummary | None = None


@dataclass(frozen=True)
class TrainingSummary:
    """The summary of a fit.

    Parameters
    ----------
    epochs : list of EpochSummary
        Loss and rows of each epoch.
    rowsTrained : int
        Rows trained in all epochs.
    seconds : float
        The duration of the training job, including reading the data.
    workers, tasks : int
        The workers of the fit, and the Spark tasks that they ran in.
    commits, bytes : int
        The updates that the parameter server applied, and the bytes that it sent and received.
    stalenessMean, stalenessMax, stalenessHistogram
        The number of updates by other workers before a commit.
    ledger : list of LedgerEntry
        The mini-batches that were applied, by worker and epoch.
    warnings : list of str
        Warnings, such as signs that the model has not learned. ``fit`` issues each of them as a
        :class:`firesteel.FitWarning`.
    bestEpoch : int, optional
        The best epoch by the monitored value of early stopping, counted from 0.
    stopped : str, optional
        The reason why the training ended before its last epoch, if it did.
    byWorker, byTask : list
        The exchange of each worker, and the time of each task.
    compressionRatio, compressionError : float
        The compression ratio of all messages, and the relative error of compression.
    decisions : list of str
        The settings that the fit chose itself, from the cluster's size and the data.
    """

    rowsTrained: int
    seconds: float
    workers: int
    tasks: int
    commits: int
    bytes: int
    stalenessMean: float
    stalenessMax: int
    compressionRatio: float
    compressionError: float
    epochs: list[EpochSummary] = field(default_factory=list)
    stalenessHistogram: list[int] = field(default_factory=list)
    ledger: list[LedgerEntry] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    byWorker: list[WorkerSummary] = field(default_factory=list)
    byTask: list[TaskSummary] = field(default_factory=list)
    bestEpoch: int | None = None
    stopped: str | None = None
    decisions: list[str] = field(default_factory=list)

    @staticmethod
    def from_json(text: str) -> TrainingSummary:
        """Reads the JSON of the JVM's summary."""
        return _read(TrainingSummary, json.loads(text))

    @property
    def losses(self) -> list[float]:
        """The mean loss of each epoch."""
        return [epoch.loss for epoch in self.epochs]

    @property
    def validationLosses(self) -> list[float]:
        """The mean loss of the validation rows after each epoch that was scored."""
        found = (epoch.validation.loss for epoch in self.epochs if epoch.validation)
        return [loss for loss in found if loss is not None]

    def validationMetric(self, name: str) -> list[float]:
        """A metric of the validation rows after each epoch for which it is defined."""
        found = (epoch.validation.metric(name) for epoch in self.epochs if epoch.validation)
        return [value for value in found if value is not None]

    @property
    def rowsPerSecond(self) -> float:
        """The rows trained in a second."""
        return self.rowsTrained / self.seconds

    @property
    def history(self) -> DataFrame:
        """The averaged history, a row for each epoch.

        Columns: ``epoch``, ``loss``, ``rows``, ``learningRate``, ``validationLoss``,
        ``validationRows``, and ``metrics``, a map from a metric's name to its value. Unknown values
        are null.
        """
        rows = [(entry.epoch, *_history_row(entry)) for entry in self.epochs]
        return _frame(rows, f"epoch int, {_HISTORY}")

    @property
    def workerHistory(self) -> DataFrame:
        """The history of each worker, a row for each epoch of each.

        Columns: ``partition``, ``index``, then those of :attr:`history`.
        """
        rows = [
            (entry.partition, entry.index, entry.epoch, *_history_row(entry))
            for entry in self.ledger
        ]
        return _frame(rows, f"partition int, index int, epoch int, {_HISTORY}")

    @property
    def workerTotals(self) -> DataFrame:
        """:attr:`byWorker`, a row for each worker with the names of its fields."""
        return _frame(
            [_values(entry) for entry in self.byWorker],
            "partition int, index int, rows bigint, commits bigint, stalenessMean double, "
            "stalenessMax bigint, bytes bigint, waitSeconds double, applySeconds double, "
            "compressionRatio double, compressionError double",
        )

    @property
    def taskTotals(self) -> DataFrame:
        """:attr:`byTask`, a row for each task with the names of its fields."""
        return _frame(
            [_values(entry) for entry in self.byTask],
            "partition int, attempt bigint, workers int, seconds double, computeSeconds double, "
            "gatherSeconds double, evaluateSeconds double, waitSeconds double",
        )

    @property
    def fitTotals(self) -> DataFrame:
        """The totals of the whole fit, one row with the values of the same names.

        Columns: ``seconds``, ``rowsTrained``, ``rowsPerSecond``, ``workers``, ``tasks``,
        ``commits``, ``bytes``, ``stalenessMean``, ``stalenessMax``, ``compressionRatio``,
        ``compressionError``, ``bestEpoch`` and ``stopped``; the last two are null where there
        is none.
        """
        schema = (
            "seconds double, rowsTrained bigint, rowsPerSecond double, workers int, tasks int, "
            "commits bigint, bytes bigint, stalenessMean double, stalenessMax bigint, "
            "compressionRatio double, compressionError double, bestEpoch int, stopped string"
        )
        return _frame([tuple(getattr(self, name) for name in _names(schema))], schema)

    @property
    def stalenessCounts(self) -> DataFrame:
        """``stalenessHistogram``, a row for each of its entries.

        Columns: ``staleness``, the number of earlier updates by other workers, and ``commits``, the
        number of commits with that staleness.
        """
        return _frame(list(enumerate(self.stalenessHistogram)), "staleness int, commits bigint")

    def plot(self) -> Figure:
        """Draws loss and validation loss by epoch, and next to them the metrics of validation rows.

        Returns
        -------
        matplotlib.figure.Figure
            The figure, which a notebook shows.

        Raises
        ------
        ImportError
            If matplotlib is not installed: ``pip install 'firesteel[plot]'``.
        """
        from firesteel.plotting import plot_summary

        return plot_summary(self)


def _history_row(entry: EpochSummary | LedgerEntry) -> tuple[Any, ...]:
    validation = entry.validation
    metrics = validation.metrics if validation else []
    return (
        entry.loss,
        entry.rows,
        entry.learningRate,
        validation.loss if validation else None,
        validation.rows if validation else None,
        {metric.name: metric.value for metric in metrics if metric.value is not None},
    )


def _values(entry: WorkerSummary | TaskSummary) -> tuple[Any, ...]:
    return tuple(getattr(entry, column.name) for column in fields(entry))


def _names(schema: str) -> list[str]:
    return [column.split()[0] for column in schema.split(", ")]


def _frame(rows: Sequence[tuple[Any, ...]], schema: str) -> DataFrame:
    """Creates a DataFrame of rows, as a constant of the query: Spark starts no Python for it."""
    text = json.dumps([dict(zip(_names(schema), row, strict=True)) for row in rows])
    parsed = from_json(lit(text), f"array<struct<{schema}>>")
    return SparkSession.active().range(1).select(inline(parsed))


def _read(kind: type[T], document: dict[str, Any]) -> T:
    """Reads a dataclass from JSON, in which unknown values are absent."""
    hints = get_type_hints(kind)
    return kind(**{name: _value(hints[name], value) for name, value in document.items()})


def _value(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if get_origin(kind) is UnionType:
        kind = next(option for option in get_args(kind) if option is not type(None))
    if get_origin(kind) is list:
        return [_value(get_args(kind)[0], element) for element in value]
    if is_dataclass(kind) and isinstance(kind, type):
        return _read(kind, value)
    return float(value) if kind is float else value
