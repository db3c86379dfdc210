"""Fits the network of a trainer by the estimator that has its losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from firesteel.classification import NetworkClassifier
from firesteel.distkeras.columns import class_index, data_type, is_list, readable, values
from firesteel.distkeras.losses import Loss, resolve
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

    One that tells classes apart is fitted as a classifier. One that comes close to numbers, that
    has several inputs or outputs or whose loss has a weight is fitted by a
    :class:`NetworkEstimator`, whose model puts out ``prediction``, or ``prediction_<output>`` for
    each of several outputs.

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
        What the loss of each output counts in their sum, in the same way.
    params : dict
        Further params of the estimator.
    names : list of str
        What the outputs are called in a dict.

    Raises
    ------
    ValueError
        Naming the column, the loss or its option that does not fit.
    """
    features_cols, label_cols = _list(features), _list(label)
    _check("features_col", features_cols, "input", network.inputs)
    _check("label_col", label_cols, "output", network.outputs)
    losses = [resolve(one) for one in _each("loss", loss, names)]
    smoothing = {one.smoothing for one in losses}
    if len(smoothing) > 1:
        given = ", ".join(
            f"{name}: {one.smoothing}" for name, one in zip(names, losses, strict=True)
        )
        raise ValueError(f"label_smoothing must be the same for all outputs, not {given}")
    if any(smoothing):
        params = {**params, "labelSmoothing": max(smoothing)}
    prepared = dataframe
    for name in features_cols:
        prepared = _replaced(prepared, name, readable(dataframe, name))
    only = losses[0]
    if len(losses) == len(features_cols) == 1 and loss_weights is None and not only.numbers:
        label_col = label_cols[0]
        return NetworkClassifier(
            network=network,
            featuresCol=features_cols[0],
            labelCol=label_col,
            loss=only.name,
            **params,
        ).fit(_replaced(prepared, label_col, _class(dataframe, label_col, only)))
    for name, one in zip(label_cols, losses, strict=True):
        prepared = _replaced(prepared, name, _target(dataframe, name, one))
    if loss_weights is not None:
        weights = [float(weight) for weight in _each("loss_weights", loss_weights, names)]
        params = {**params, "lossWeights": weights}
    several = len(losses) > 1
    return NetworkEstimator(
        network=network,
        featuresCols=features_cols,
        labelCols=label_cols,
        losses=[one.name for one in losses],
        outputCols=[f"{PREDICTION}_{name}" if several else PREDICTION for name in names],
        **params,
    ).fit(prepared)


def _class(dataframe: DataFrame, name: str, loss: Loss) -> Column | None:
    """The class of a label, where the column does not hold it as it is."""
    if loss.signed:
        return F.when(class_index(dataframe, name) > 0, 1.0).otherwise(0.0)
    return class_index(dataframe, name) if is_list(data_type(dataframe, name)) else None


def _target(dataframe: DataFrame, name: str, loss: Loss) -> Column | None:
    """What an output comes close to, where the column does not hold it as it is."""
    if loss.signed:
        return _class(dataframe, name, loss)
    if not is_list(data_type(dataframe, name)):
        return None
    numbers = values(dataframe, name)
    first = dataframe.select(F.size(numbers)).first()
    # To Keras a list of one number is that number.
    return F.get(numbers, 0) if first and first[0] == 1 else readable(dataframe, name)


def _replaced(dataframe: DataFrame, name: str, column: Column | None) -> DataFrame:
    return dataframe if column is None else dataframe.withColumn(name, column)


def _list(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _check(argument: str, columns: Sequence[str], what: str, names: Sequence[str]) -> None:
    """Refuses columns that are not one for each input or output."""
    if len(columns) != len(names):
        raise ValueError(
            f"{argument} has {len(columns)} columns, {', '.join(columns)}; the model has "
            f"{len(names)} {what}s, {', '.join(names)}, and needs one for each"
        )


def _each(argument: str, given: Any, names: Sequence[str]) -> list[Any]:
    """A value for each output, as ``compile`` of Keras takes them."""
    if isinstance(given, Mapping):
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
