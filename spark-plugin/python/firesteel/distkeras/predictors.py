"""Predictors, which append the predictions of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from pyspark.sql import DataFrame

from firesteel.distkeras.columns import as_estimator_column, reference
from firesteel.distkeras.models import as_network
from firesteel.params.feature import FeatureParams
from firesteel.params.multi_io import MultiIOParams

__all__ = ["ModelPredictor", "Predictor"]


class Predictor(ABC):
    """Appends the predictions of a model.

    Parameters
    ----------
    keras_model : keras.Model, firesteel.Network or fitted model
        The model, with its weights.
    """

    def __init__(self, keras_model: Any) -> None:
        self.model = keras_model

    @abstractmethod
    def predict(self, dataframe: DataFrame) -> DataFrame:
        """Returns the DataFrame with the predictions."""


class ModelPredictor(Predictor):
    """Appends the results of Keras's ``predict`` for each row.

    A prediction is a dense vector, of length 1 for a single output value. The native library
    computes it on the executors when the DataFrame is used.

    Parameters
    ----------
    keras_model : keras.Model, firesteel.Network or fitted model
        The model, with its weights.
    features_col : str or list of str
        The column of features; a list has one for each input of the model, in its order. Vectors,
        arrays, flat or nested as ``ReshapeTransformer`` makes them, binary, or one number.
    output_col : str or list of str
        The new column; a list has one for each output of the model, in its order.

    Raises
    ------
    ValueError
        If the model scales its features, or two outputs have the same column.
    """

    def __init__(
        self,
        keras_model: Any,
        features_col: str | Sequence[str] = "features",
        output_col: str | Sequence[str] = "prediction",
    ) -> None:
        super().__init__(keras_model)
        for kind, scale in ((FeatureParams, "featuresScale"), (MultiIOParams, "featuresScales")):
            if isinstance(keras_model, kind) and keras_model.isSet(scale):
                raise ValueError(f"the model has {scale}; use its transform to predict")
        self.features_column = [features_col] if isinstance(features_col, str) else features_col
        self.output_column = [output_col] if isinstance(output_col, str) else list(output_col)
        names = [name.lower() for name in self.output_column]
        for name in self.output_column:
            if names.count(name.lower()) > 1:
                raise ValueError(f"output_col has the column '{name}' for several outputs")

    def predict(self, dataframe: DataFrame) -> DataFrame:
        """Returns the DataFrame with the columns of predictions after the others.

        Raises
        ------
        ValueError
            If a column is missing.
        pyspark.errors.IllegalArgumentException
            If the type or size of a column differs from the model's input; if the model has no
            weights, or another number of inputs or outputs.
        """
        network = as_network(self.model)
        mark = f"_{uuid4().hex}"
        columns, prepared = [], dataframe
        for index, name in enumerate(self.features_column):
            flat = as_estimator_column(dataframe, name)
            columns.append(name if flat is None else f"{mark}_{index}")
            if flat is not None:
                prepared = prepared.withColumn(columns[-1], flat)
        outputs = [f"{mark}_output{index}" for index in range(len(self.output_column))]
        session = dataframe.sparkSession
        jvm: Any = session._jvm
        predictor = jvm.firesteel.estimator.NetworkPredictor
        java = predictor.append(prepared._jdf, network.to_json(), columns, outputs)
        predicted = DataFrame(java, session)
        for name, output in zip(self.output_column, outputs, strict=True):
            predicted = predicted.withColumn(name, reference(output))
        added = [name for name in (*columns, *outputs) if name.startswith(mark)]
        return predicted.drop(*added)
