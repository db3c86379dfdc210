"""Transformers of columns, each one expression of Spark's SQL functions.

An output column goes behind the others; one of that name is replaced.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import reduce
from operator import mul
from typing import Any

from pyspark.ml.functions import array_to_vector
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from firesteel.distkeras.columns import bind_once, reference, values

__all__ = [
    "BinaryLabelTransformer",
    "DenseTransformer",
    "LabelIndexTransformer",
    "MinMaxTransformer",
    "OneHotTransformer",
    "ReshapeTransformer",
    "StandardTransformer",
    "Transformer",
]


class Transformer(ABC):
    """Transforms a DataFrame."""

    @abstractmethod
    def transform(self, dataframe: DataFrame) -> DataFrame:
        """Returns the transformed DataFrame."""


class MinMaxTransformer(Transformer):
    """Scales values from one range to another: ``x' = scale (x - o_max) + n_max``.

    ``scale`` is ``(n_max - n_min) / (o_max - o_min)``. The data does not matter, and values outside
    the old range are outside the new one.

    Parameters
    ----------
    o_min, o_max : float
        The old range, not empty.
    n_min, n_max : float
        The new range.
    input_col : str
        A column of vectors or arrays; of numbers unless `is_vector`.
    output_col : str
        The new column: dense vectors, or numbers.
    is_vector : bool
        True for vectors or arrays, False for numbers.
    """

    def __init__(
        self,
        o_min: float,
        o_max: float,
        n_min: float,
        n_max: float,
        input_col: str,
        output_col: str,
        is_vector: bool = True,
    ) -> None:
        if o_min == o_max:
            raise ValueError(f"MinMaxTransformer: o_min and o_max must differ, both are {o_min}")
        self.o_min = float(o_min)
        self.o_max = float(o_max)
        self.n_min = float(n_min)
        self.n_max = float(n_max)
        self.scale = (self.n_max - self.n_min) / (self.o_max - self.o_min)
        self.input_column = input_col
        self.output_column = output_col
        self.is_vector = is_vector

    def transform(self, dataframe: DataFrame) -> DataFrame:
        """Adds the column of scaled values."""
        if self.is_vector:
            numbers = values(dataframe, self.input_column)
            moved = array_to_vector(F.transform(numbers, self._move))
        else:
            moved = self._move(reference(self.input_column).cast("double"))
        return dataframe.withColumn(self.output_column, moved)

    def _move(self, value: Column) -> Column:
        return F.lit(self.scale) * (value - self.o_max) + self.n_max


class BinaryLabelTransformer(Transformer):
    """Converts one label to ``[1, 0]`` and all others to ``[0, 1]``.

    Parameters
    ----------
    input_column : str
        The column of labels.
    output_column : str
        The new column, of dense vectors.
    label : str or number
        The label.
    """

    def __init__(self, input_column: str, output_column: str, label: Any) -> None:
        self.input_column = input_column
        self.output_column = output_column
        self.label = label

    def transform(self, dataframe: DataFrame) -> DataFrame:
        """Adds the column of vectors."""
        same = reference(self.input_column).eqNullSafe(F.lit(self.label))
        first = F.when(same, 1.0).otherwise(0.0)
        vector = array_to_vector(F.array(first, 1.0 - first))
        return dataframe.withColumn(self.output_column, vector)


class StandardTransformer(Transformer):
    """Standardizes columns of numbers to mean 0 and population standard deviation 1.

    Parameters
    ----------
    columns : list of str
        The columns.
    suffix : str
        The suffix of the names of the new columns.
    """

    def __init__(self, columns: Sequence[str], suffix: str = "_normalized") -> None:
        self.columns = list(columns)
        self.column_suffix = suffix
        self.means: dict[str, float] = {}
        self.stddevs: dict[str, float] = {}

    def transform(self, dataframe: DataFrame) -> DataFrame:
        """Adds the columns, and sets `means` and `stddevs` to those of this DataFrame.

        Raises
        ------
        ValueError
            If the values of a column are all equal, or there are none; the error names it.
        """
        columns = [reference(name) for name in self.columns]
        moments = [of(column) for of in (F.mean, F.stddev_pop) for column in columns]
        found = list(dataframe.agg(*moments).head())  # type: ignore[arg-type]
        half = len(columns)
        self.means = dict(zip(self.columns, found[:half], strict=True))
        self.stddevs = dict(zip(self.columns, found[half:], strict=True))
        for name in self.columns:
            if not self.stddevs[name] or not math.isfinite(self.stddevs[name]):
                raise ValueError(
                    f"StandardTransformer: the column '{name}' has the standard deviation "
                    f"{self.stddevs[name]}; it must be finite and not 0"
                )
        return dataframe.withColumns(
            {
                name + self.column_suffix: (column - self.means[name]) / self.stddevs[name]
                for name, column in zip(self.columns, columns, strict=True)
            }
        )


class DenseTransformer(Transformer):
    """Converts sparse vectors to dense ones.

    Parameters
    ----------
    input_col : str
        A column of vectors, or of arrays.
    output_col : str
        The new column, of dense vectors.
    """

    def __init__(self, input_col: str, output_col: str) -> None:
        self.input_column = input_col
        self.output_column = output_col

    def transform(self, dataframe: DataFrame) -> DataFrame:
        """Adds the column of dense vectors."""
        dense = array_to_vector(values(dataframe, self.input_column))
        return dataframe.withColumn(self.output_column, dense)


class ReshapeTransformer(Transformer):
    """Reshapes vectors to nested lists, the last dimension innermost, like NumPy's ``reshape``.

    Trainers and predictors read such lists. They also reshape plain vectors to the model's input
    themselves, which makes this step unnecessary.

    Parameters
    ----------
    input_col : str
        A column of vectors, or of arrays.
    output_col : str
        The new column, of arrays as deep as `shape` is long.
    shape : tuple of int
        The sizes; one may be -1 and is inferred. A row with another number of values fails the
        query.
    """

    def __init__(self, input_col: str, output_col: str, shape: Sequence[int]) -> None:
        self.input_column = input_col
        self.output_column = output_col
        self.shape = tuple(shape)
        if not self.shape or self.shape.count(-1) > 1 or any(s < 1 and s != -1 for s in self.shape):
            raise ValueError(
                f"ReshapeTransformer: shape {self.shape} must have sizes of at least 1, of which "
                "one may be -1"
            )

    def transform(self, dataframe: DataFrame) -> DataFrame:
        """Adds the column of nested lists."""
        known = math.prod(size for size in self.shape if size != -1)

        def nested(numbers: Column) -> Column:
            inferred = (F.size(numbers) / known).cast("int")
            sizes = [inferred if size == -1 else F.lit(size) for size in self.shape]
            rest = F.size(numbers) % known if -1 in self.shape else F.size(numbers) - known
            problem = F.concat(
                F.lit(f"the column '{self.input_column}' has "),
                F.size(numbers).cast("string"),
                F.lit(f" values, which have no shape {self.shape}"),
            )
            return F.when(rest == 0, _nest(numbers, sizes)).otherwise(F.raise_error(problem))

        lists = bind_once(values(dataframe, self.input_column), nested)
        return dataframe.withColumn(self.output_column, lists)


def _nest(numbers: Column, sizes: list[Column]) -> Column:
    """Nests a list of numbers into lists of these sizes, the outermost first."""
    if len(sizes) == 1:
        return numbers
    step = reduce(mul, sizes[1:])
    chunks = F.transform(
        F.sequence(F.lit(0), sizes[0] - 1),
        lambda index: F.slice(numbers, index * step + 1, step),
    )
    return F.transform(chunks, lambda chunk: _nest(chunk, sizes[1:]))


class OneHotTransformer(Transformer):
    """Converts a class index to a list with a 1 at that position and 0 elsewhere.

    Parameters
    ----------
    output_dim : int
        The number of classes.
    input_col : str
        A column of class indices from 0, of any numeric type, or of strings that are such numbers.
        Any other value fails the query.
    output_col : str
        The new column, of arrays of doubles.
    """

    def __init__(self, output_dim: int, input_col: str, output_col: str) -> None:
        if output_dim < 1:
            raise ValueError(f"OneHotTransformer: output_dim must be at least 1, not {output_dim}")
        self.input_column = input_col
        self.output_column = output_col
        self.output_dimensionality = int(output_dim)

    def transform(self, dataframe: DataFrame) -> DataFrame:
        """Adds the column of lists."""
        label = reference(self.input_column)
        index = label.cast("int")
        size = self.output_dimensionality
        places = [F.when(index == place, 1.0).otherwise(0.0) for place in range(size)]
        problem = F.concat(
            F.lit(f"the column '{self.input_column}' has the class "),
            F.coalesce(label.cast("string"), F.lit("null")),
            F.lit(f", which is not one of 0 to {size - 1}"),
        )
        known = (index >= 0) & (index < size)
        one_hot = F.when(known, F.array(*places)).otherwise(F.raise_error(problem))
        return dataframe.withColumn(self.output_column, one_hot)


class LabelIndexTransformer(Transformer):
    """Converts a vector of predictions to the predicted class.

    That is the first class whose value is at least `activation_threshold`; without one, the first
    with the largest value, or `default_index` if no value is above 0.

    Parameters
    ----------
    output_dim : int
        The number of values of the vector that are used.
    input_col : str
        A column of vectors, or of arrays.
    output_col : str
        The new column, of doubles.
    default_index : int
        See above.
    activation_threshold : float
        See above.
    """

    def __init__(
        self,
        output_dim: int,
        input_col: str = "prediction",
        output_col: str = "prediction_index",
        default_index: int = 0,
        activation_threshold: float = 0.55,
    ) -> None:
        self.input_column = input_col
        self.output_column = output_col
        self.output_dimensionality = output_dim
        self.activation_threshold = activation_threshold
        self.default_index = default_index

    def transform(self, dataframe: DataFrame) -> DataFrame:
        """Adds the column of class indices."""
        numbers = F.slice(values(dataframe, self.input_column), 1, self.output_dimensionality)
        return dataframe.withColumn(self.output_column, bind_once(numbers, self._index))

    def _index(self, numbers: Column) -> Column:
        sure = F.transform(numbers, lambda value: value >= self.activation_threshold)
        largest = F.array_max(numbers)
        # Positions count from 1; 0 means not found.
        first = F.array_position(sure, F.lit(True))
        place = F.when(first > 0, first).when(largest > 0, F.array_position(numbers, largest))
        return F.coalesce(place.cast("double") - 1, F.lit(float(self.default_index)))
