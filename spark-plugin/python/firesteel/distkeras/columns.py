"""Conversion of dist-keras's columns (vectors, nested lists, one-hot labels) by SQL functions."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.ml.functions import vector_to_array
from pyspark.ml.linalg import VectorUDT
from pyspark.mllib.linalg import VectorUDT as OldVectorUDT
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - as Spark's own examples call it
from pyspark.sql.types import ArrayType, DataType


def reference(name: str) -> Column:
    """References a top-level column, whose name may have dots."""
    return F.col("`" + name.replace("`", "``") + "`")


def data_type(frame: DataFrame, name: str) -> DataType:
    """Returns the type of a column.

    Raises
    ------
    ValueError
        If there is no such column.
    """
    if name not in frame.columns:
        raise ValueError(f"there is no column '{name}'; the columns are {', '.join(frame.columns)}")
    return frame.schema[name].dataType


def is_list(kind: DataType) -> bool:
    """Returns True for a type of lists of numbers: vectors or arrays, which may be nested."""
    return isinstance(kind, (VectorUDT, OldVectorUDT, ArrayType))


def values(frame: DataFrame, name: str) -> Column:
    """Returns the values of a column of vectors or arrays, in order, as one array of doubles.

    Raises
    ------
    ValueError
        If the column has another type.
    """
    kind = data_type(frame, name)
    column = reference(name)
    if isinstance(kind, (VectorUDT, OldVectorUDT)):
        return vector_to_array(column)
    if not isinstance(kind, ArrayType):
        raise ValueError(
            f"the column '{name}' has type {kind.simpleString()}; expected a vector or an array"
        )
    while isinstance(kind.elementType, ArrayType):
        column, kind = F.flatten(column), kind.elementType
    return column.cast("array<double>")


def as_estimator_column(frame: DataFrame, name: str) -> Column | None:
    """Converts a column for the estimators; None if they read it already."""
    kind = data_type(frame, name)
    nested = isinstance(kind, ArrayType) and isinstance(kind.elementType, ArrayType)
    return values(frame, name) if nested or isinstance(kind, OldVectorUDT) else None


def bind_once(value: Column, body: Callable[[Column], Column]) -> Column:
    """Builds an expression of a value that is computed once, however often it is used."""
    return F.get(F.transform(F.array(value), body), 0)


def class_index(frame: DataFrame, name: str) -> Column:
    """Returns the class of a label that is a number, a list of one number, or one-hot.

    Any other list fails the query; the error names the column and the list.
    """
    if not is_list(data_type(frame, name)):
        return reference(name)
    problem = f"the label column '{name}' must hold one-hot vectors, with a single 1, but has "

    def index(numbers: Column) -> Column:
        largest = F.array_max(numbers)
        total = F.aggregate(numbers, F.lit(0.0), lambda sofar, number: sofar + F.abs(number))
        place = F.array_position(numbers, largest).cast("double")
        shown = F.coalesce(numbers.cast("string"), F.lit("null"))
        return (
            F.when(F.size(numbers) == 1, F.get(numbers, 0))
            .when((largest == 1) & (total == 1), place - 1)
            .otherwise(F.raise_error(F.concat(F.lit(problem), shown)))
        )

    return bind_once(values(frame, name), index)
