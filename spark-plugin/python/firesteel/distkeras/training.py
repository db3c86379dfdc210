"""Fitting of a trainer's network by the estimator that supports its losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from firesteel.classification import NetworkClassifier
from firesteel.distkeras.columns import as_estimator_column, class_index, data_type, is_list, values
from firesteel.distkeras.losses import Loss, resolve
from firesteel.distkeras.serialized import is_serialized
from firesteel.estimator import NetworkEstimator
from firesteel.network import BaseNetwork
from firesteel.stages import NetworkModelBase

PREDICTION = "prediction"


def fit(
    network: BaseNetwork,
    dataframe: DataFrame,
    features: str | Sequence[str],
    label: str | Sequence[str],
    loss: Any,
    loss_weights: Any,
    params: dict[str, Any],
    names: Sequence[str],
) -> NetworkModelBase:
    """Fits a network.

    A classification is fitted by a classifier. A regression, a network with several inputs or
    outputs and a weighted loss are fitted by a :class:`NetworkEstimator`, whose model has the
    output column ``prediction``, or ``prediction_<output>`` for each of several outputs.

    Parameters
    ----------
    network : BaseNetwork
        The network.
    dataframe : DataFrame
        The rows.
    features, label : str or list of str
        Columns as dist-keras has them: one, or one for each input or output.
    loss : str, function or loss of Keras, or list or dict of them
        The loss of all outputs, or of each: in their order, or by their names.
    loss_weights : list or dict, optional
        The weight of each output's loss in the sum, in the same way.
    params : dict
        Further params of the estimator. If ``shuffle`` is true, rows are also distributed to the
        workers at random.
    names : list of str
        The names of the outputs in a dict.

    Raises
    ------
    ValueError
        If a column, a loss or its option does not fit; the error names it.
    """
    features_cols, label_cols = _list(features), _list(label)
    _check("features_col", features_cols, "input", network.inputs)
    _check("label_col", label_cols, "output", network.outputs)
    losses = [resolve(one) for one in for_each_output("loss", loss, names)]
    smoothing = {one.smoothing for one in losses}
    if len(smoothing) > 1:
        given = ", ".join(
            f"{name}: {one.smoothing}" for name, one in zip(names, losses, strict=True)
        )
        raise ValueError(
            "label_smoothing must be the same for all outputs, which must then all be "
            f"classifications; it is {given}"
        )
    if any(smoothing):
        params = {**params, "labelSmoothing": max(smoothing)}
    prepared = _Prepared(dataframe)
    inputs = [
        prepared.column(name, "input", as_estimator_column(dataframe, name))
        for name in features_cols
    ]
    only = losses[0]
    if len(losses) == len(features_cols) == 1 and loss_weights is None and not only.numbers:
        label_col = label_cols[0]
        classifier = NetworkClassifier(
            network=network,
            featuresCol=inputs[0],
            labelCol=prepared.column(label_col, "output", _class(dataframe, label_col, only)),
            loss=only.name,
            **params,
        )
        model = classifier.fit(prepared.rows(params))
        return _restore_column_params(model, featuresCol=features_cols[0], labelCol=label_col)
    outputs = [
        prepared.column(name, "output", _target(dataframe, name, one))
        for name, one in zip(label_cols, losses, strict=True)
    ]
    if loss_weights is not None:
        weights = [float(weight) for weight in for_each_output("loss_weights", loss_weights, names)]
        params = {**params, "lossWeights": weights}
    several = len(losses) > 1
    estimator = NetworkEstimator(
        network=network,
        featuresCols=inputs,
        labelCols=outputs,
        losses=[one.name for one in losses],
        outputCols=[f"{PREDICTION}_{name}" if several else PREDICTION for name in names],
        **params,
    )
    fitted = estimator.fit(prepared.rows(params))
    return _restore_column_params(fitted, featuresCols=features_cols, labelCols=label_cols)


class _Prepared:
    """A DataFrame with further columns, each for one input or output.

    A column may be used for several of them, each in another form.
    """

    def __init__(self, dataframe: DataFrame) -> None:
        self._dataframe = dataframe
        self._count = 0

    def column(self, name: str, what: str, prepared: Column | None) -> str:
        """Returns the column for an input or output: a new one, or `name` if it needs no change."""
        if prepared is None:
            return name
        taken = {column.lower() for column in self._dataframe.columns}
        fresh = f"{name}_{what}{self._count}"
        while fresh.lower() in taken:
            fresh += "_"
        self._count += 1
        self._dataframe = self._dataframe.withColumn(fresh, prepared)
        return fresh

    def rows(self, params: Mapping[str, Any]) -> DataFrame:
        """The rows with all columns."""
        return self._dataframe.orderBy(F.rand()) if params["shuffle"] else self._dataframe


def _restore_column_params(model: NetworkModelBase, **columns: str | list[str]) -> NetworkModelBase:
    """Sets the column params of a model to the columns of the trainer."""
    for name, column in columns.items():
        model.set(model.getParam(name), column)
    return model


def _class(dataframe: DataFrame, name: str, loss: Loss) -> Column | None:
    """Returns the class of a label, or None if the column has it already."""
    if loss.signed:
        return F.when(class_index(dataframe, name) > 0, 1.0).otherwise(0.0)
    return class_index(dataframe, name) if is_list(data_type(dataframe, name)) else None


def _target(dataframe: DataFrame, name: str, loss: Loss) -> Column | None:
    """Returns the target of an output, or None if the column has it already."""
    if loss.signed:
        return _class(dataframe, name, loss)
    if not is_list(data_type(dataframe, name)):
        return None
    numbers = values(dataframe, name)
    first = dataframe.select(F.size(numbers)).first()
    # To Keras a list of one number is that number.
    return F.get(numbers, 0) if first and first[0] == 1 else as_estimator_column(dataframe, name)


def _list(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _check(argument: str, columns: Sequence[str], what: str, names: Sequence[str]) -> None:
    """Checks that there is one column for each input or output."""
    if len(columns) != len(names):
        raise ValueError(
            f"{argument} has {len(columns)} columns, {', '.join(columns)}; the model has "
            f"{len(names)} {what}s, {', '.join(names)}, and needs one for each"
        )


def for_each_output(argument: str, given: Any, names: Sequence[str]) -> list[Any]:
    """Returns a value for each output, in the forms of Keras's ``compile``."""
    if isinstance(given, Mapping) and not is_serialized(given):
        if sorted(given) != sorted(names):
            raise ValueError(
                f"{argument} is for the outputs {', '.join(map(str, given))}; the model has "
                f"{', '.join(names)}"
            )
        return [given[name] for name in names]
    if isinstance(given, list | tuple):
        if len(given) != len(names):
            raise ValueError(
                f"{argument} has {len(given)} values; the model has {len(names)} outputs, "
                f"{', '.join(names)}, and needs one for each"
            )
        return list(given)
    return [given] * len(names)
