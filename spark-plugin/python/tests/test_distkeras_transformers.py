"""Transformers and evaluators, compared with the formulas of dist-keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from firesteel.distkeras.evaluators import AccuracyEvaluator
from firesteel.distkeras.transformers import (
    BinaryLabelTransformer,
    DenseTransformer,
    LabelIndexTransformer,
    MinMaxTransformer,
    OneHotTransformer,
    ReshapeTransformer,
    StandardTransformer,
)
from pyspark.ml.linalg import DenseVector, SparseVector, Vectors
from pyspark.mllib.linalg import Vectors as OldVectors
from pyspark.sql import DataFrame, SparkSession

ROWS = np.arange(72, dtype=float).reshape(3, 24) ** 1.5 - 30


@pytest.fixture(scope="module")
def frame(spark: SparkSession) -> DataFrame:
    """Three rows of 24 numbers in all forms, and a label."""
    rows = [
        (
            Vectors.dense(row),
            Vectors.sparse(24, {3: row[0], 7: 2.5}),
            OldVectors.dense(row),
            row.tolist(),
            float(row[1]),
            index % 2,
            "sb"[index % 2],
        )
        for index, row in enumerate(ROWS)
    ]
    names = ["dense", "sparse", "old", "list", "number", "label", "name"]
    return spark.createDataFrame(rows, names).coalesce(1).cache()


def column(frame: DataFrame, name: str) -> list[Any]:
    return [row[0] for row in frame.select(name).collect()]


@pytest.mark.parametrize("source", ["dense", "old", "list"])
def test_min_max_moves_every_value_of_a_vector(frame: DataFrame, source: str) -> None:
    moved = MinMaxTransformer(0.0, 250.0, -1.0, 3.0, source, "moved").transform(frame)
    assert moved.columns == [*frame.columns, "moved"]
    found = column(moved, "moved")
    assert all(isinstance(vector, DenseVector) for vector in found)
    np.testing.assert_allclose(found, 4 / 250 * (ROWS - 250) + 3, rtol=1e-12)


def test_min_max_moves_numbers(frame: DataFrame) -> None:
    transformer = MinMaxTransformer(
        n_min=0.0,
        n_max=1.0,
        o_min=-30,
        o_max=250,
        input_col="number",
        output_col="number",
        is_vector=False,
    )
    moved = transformer.transform(frame)
    assert moved.columns == frame.columns
    np.testing.assert_allclose(column(moved, "number"), (ROWS[:, 1] + 30) / 280, rtol=1e-12)
    with pytest.raises(ValueError, match="o_min and o_max must differ, both are 1"):
        MinMaxTransformer(1, 1, 0, 1, "number", "moved")


def test_binary_labels_tell_one_label_from_all_others(frame: DataFrame) -> None:
    by_name = BinaryLabelTransformer("name", "binary", "s").transform(frame)
    assert column(by_name, "binary") == [
        DenseVector([1, 0]),
        DenseVector([0, 1]),
        DenseVector([1, 0]),
    ]
    by_number = BinaryLabelTransformer("label", "binary", 1).transform(frame)
    assert [vector[0] for vector in column(by_number, "binary")] == [0, 1, 0]
    missing = frame.selectExpr("nullif(name, 's') as name")
    empty = BinaryLabelTransformer("name", "binary", "s").transform(missing)
    assert [vector[1] for vector in column(empty, "binary")] == [1, 1, 1]


def test_columns_are_standardised_by_the_populations_deviation(frame: DataFrame) -> None:
    transformer = StandardTransformer(["number", "label"])
    standard = transformer.transform(frame)
    for name, numbers in [("number", ROWS[:, 1]), ("label", np.array([0, 1, 0]))]:
        expected = (numbers - numbers.mean()) / numbers.std()
        np.testing.assert_allclose(column(standard, f"{name}_normalized"), expected, rtol=1e-12)
        assert transformer.means[name] == pytest.approx(numbers.mean())
        assert transformer.stddevs[name] == pytest.approx(numbers.std())
    constant = frame.selectExpr("1.5 as same")
    with pytest.raises(ValueError, match="'same' has the standard deviation 0"):
        StandardTransformer(["same"], suffix="_s").transform(constant)


def test_sparse_vectors_become_dense_ones(frame: DataFrame) -> None:
    assert all(isinstance(vector, SparseVector) for vector in column(frame, "sparse"))
    found = column(DenseTransformer("sparse", "filled").transform(frame), "filled")
    assert all(isinstance(vector, DenseVector) for vector in found)
    expected = np.zeros((3, 24))
    expected[:, 3], expected[:, 7] = ROWS[:, 0], 2.5
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shape", [(2, 3, 4), (24,), (4, 6, 1), (2, -1, 3), (-1, 8), (12, -1)])
def test_vectors_become_lists_of_any_shape(frame: DataFrame, shape: tuple[int, ...]) -> None:
    found = column(ReshapeTransformer("dense", "matrix", shape).transform(frame), "matrix")
    assert found == [row.reshape(shape).tolist() for row in ROWS]


def test_nested_lists_are_reshaped_again(frame: DataFrame) -> None:
    matrix = ReshapeTransformer("list", "matrix", (2, 3, 4)).transform(frame)
    found = column(ReshapeTransformer("matrix", "matrix", (8, 3)).transform(matrix), "matrix")
    assert found == [row.reshape(8, 3).tolist() for row in ROWS]


@pytest.mark.parametrize("shape", [(5, 5), (5, -1)])
def test_a_row_of_another_size_than_the_shape_is_named(
    frame: DataFrame, shape: tuple[int, ...]
) -> None:
    with pytest.raises(Exception, match=r"'dense' has 24 values, which have no shape \(5, -?\d\)"):
        ReshapeTransformer("dense", "matrix", shape).transform(frame).collect()
    with pytest.raises(ValueError, match="one may be -1"):
        ReshapeTransformer("dense", "matrix", (-1, -1))


def test_class_indices_become_one_hot(frame: DataFrame) -> None:
    encoded = OneHotTransformer(3, "label", "encoded").transform(frame)
    assert column(encoded, "encoded") == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]
    cut = OneHotTransformer(3, "value", "encoded").transform(frame.selectExpr("2.9d as value"))
    assert column(cut, "encoded")[0] == [0, 0, 1]
    for wrong in ("3", "-1", "null"):
        data = frame.selectExpr(f"cast({wrong} as int) as value")
        with pytest.raises(Exception, match=f"'value' has the class {wrong}, which is not one of"):
            OneHotTransformer(3, "value", "encoded").transform(data).collect()


def index_of(vector: list[float], size: int, default: int, threshold: float) -> int:
    """The rule of dist-keras's documentation, one value after the other."""
    best, found = 0.0, default
    for place in range(size):
        if vector[place] >= threshold:
            return place
        if vector[place] > best:
            best, found = vector[place], place
    return found


def test_predictions_become_class_indices(spark: SparkSession) -> None:
    vectors = [
        [0.1, 0.2, 0.7],
        [0.3, 0.4, 0.3],
        [0.6, 0.3, 0.9],
        [0.5, 0.5, 0.1],
        [0.0, 0.0, 0.0],
        [-1.0, -2.0, -0.5],
        [0.2, 0.2, 0.54],
    ]
    frame = spark.createDataFrame([(Vectors.dense(v), v) for v in vectors], ["prediction", "list"])
    for size, default, threshold in [(3, 0, 0.55), (3, 2, 0.4), (2, 1, 0.55)]:
        expected = [float(index_of(v, size, default, threshold)) for v in vectors]
        options = {"default_index": default, "activation_threshold": threshold}
        found = LabelIndexTransformer(size, **options).transform(frame)
        assert column(found, "prediction_index") == expected
        lists = LabelIndexTransformer(size, "list", "index", **options).transform(frame)
        assert column(lists, "index") == expected


def test_accuracy_is_the_share_of_equal_labels(spark: SparkSession) -> None:
    rows = [(0, 0.0), (1, 1.0), (1, 0.0), (2, 2.0), (None, 1.0)]
    frame = spark.createDataFrame(rows, "label int, prediction_index double")
    evaluator = AccuracyEvaluator(label_col="label", prediction_col="prediction_index")
    assert evaluator.evaluate(frame) == pytest.approx(3 / 5)
    with pytest.raises(ValueError, match="no rows"):
        evaluator.evaluate(frame.limit(0))


@pytest.mark.parametrize(
    "transformer",
    [
        MinMaxTransformer(0, 1, 0, 1, "nothing", "out"),
        DenseTransformer("nothing", "out"),
        ReshapeTransformer("nothing", "out", (2,)),
        LabelIndexTransformer(2, "nothing"),
    ],
)
def test_a_missing_column_is_named(frame: DataFrame, transformer: Any) -> None:
    with pytest.raises(ValueError, match="there is no column 'nothing'; the columns are dense,"):
        transformer.transform(frame)
