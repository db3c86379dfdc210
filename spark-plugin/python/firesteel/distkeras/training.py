"""Fits the network of a trainer by the estimator that has its loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from firesteel.classification import NetworkClassifier
from firesteel.distkeras.columns import class_index, data_type, is_list, readable
from firesteel.distkeras.losses import Loss, resolve
from firesteel.network import BaseNetwork
from firesteel.stages import NetworkModelBase


def fit(
    network: BaseNetwork,
    dataframe: DataFrame,
    features: str | Sequence[str],
    label: str | Sequence[str],
    loss: Any,
    loss_weights: Any,
    params: dict[str, Any],
) -> NetworkModelBase:
    """Fits a network.

    Parameters
    ----------
    network : BaseNetwork
        The network.
    dataframe : DataFrame
        The rows.
    features, label : str or list of str
        Columns as dist-keras has them.
    loss : str, function or loss of Keras
        The loss.
    loss_weights : list or dict, optional
        Must be none: networks have one output.
    params : dict
        Further params of the estimator.

    Raises
    ------
    ValueError
        Naming the column, the loss or its option that does not fit.
    """
    if loss_weights is not None:
        raise ValueError("loss_weights are for models of several outputs; here models have one")
    found = resolve(loss)
    features_col, label_col = _only("features_col", features), _only("label_col", label)
    prepared = _replaced(dataframe, label_col, _label(dataframe, label_col, found))
    prepared = _replaced(prepared, features_col, readable(dataframe, features_col))
    if found.smoothing:
        params = {**params, "labelSmoothing": found.smoothing}
    estimator = NetworkClassifier(
        network=network, featuresCol=features_col, labelCol=label_col, loss=found.name, **params
    )
    return estimator.fit(prepared)


def _label(dataframe: DataFrame, name: str, loss: Loss) -> Column | None:
    """The class of a label, where the column does not hold it as it is."""
    if loss.signed:
        return F.when(class_index(dataframe, name) > 0, 1.0).otherwise(0.0)
    return class_index(dataframe, name) if is_list(data_type(dataframe, name)) else None


def _replaced(dataframe: DataFrame, name: str, column: Column | None) -> DataFrame:
    return dataframe if column is None else dataframe.withColumn(name, column)


def _only(argument: str, names: str | Sequence[str]) -> str:
    if isinstance(names, str):
        return names
    if len(names) != 1:
        raise ValueError(f"{argument} has {len(names)} columns, {', '.join(names)}; needs one")
    return names[0]
