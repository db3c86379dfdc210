"""Evaluators of DataFrames with labels and predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from firesteel.distkeras.columns import reference

__all__ = ["AccuracyEvaluator", "Evaluator"]


class Evaluator(ABC):
    """Computes a number from a label and a prediction column.

    Parameters
    ----------
    label_col : str
        The column of labels.
    prediction_col : str
        The column of predictions.
    """

    def __init__(self, label_col: str = "label", prediction_col: str = "prediction") -> None:
        self.label_column = label_col
        self.prediction_column = prediction_col

    @abstractmethod
    def evaluate(self, dataframe: DataFrame) -> float:
        """Evaluates a DataFrame."""


class AccuracyEvaluator(Evaluator):
    """The share of the rows whose prediction equals the label.

    Both are numbers; ``LabelIndexTransformer`` converts a vector of predictions to a number. A row
    with a null counts as wrong.
    """

    def evaluate(self, dataframe: DataFrame) -> float:
        """Returns the accuracy, from 0 to 1.

        Raises
        ------
        ValueError
            If the DataFrame has no rows.
        """
        equal = reference(self.prediction_column) == reference(self.label_column)
        counted = F.when(equal, 1.0).otherwise(0.0)
        accuracy = dataframe.agg(F.avg(counted)).head()[0]  # type: ignore[index]
        if accuracy is None:
            raise ValueError("there are no rows to evaluate")
        return float(accuracy)
