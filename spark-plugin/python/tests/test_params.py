"""The params of the Python stages are those of the JVM's, by name, text and default."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from firesteel import Network
from firesteel.classification import NetworkClassifier
from firesteel.estimator import NetworkEstimator
from firesteel.layers import Linear
from firesteel.regression import NetworkRegressor
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.param import Param, Params
from pyspark.sql import SparkSession

ESTIMATORS = [NetworkClassifier, NetworkRegressor, NetworkEstimator]
# Spark's own, whose texts PySpark writes in its own way.
SHARED = ("outputCols", "seed", "thresholds")


def value_of(param: Param[Any]) -> Any:
    """A value of a param's type, found by its converter."""
    if param.name == "network":
        return Network.sequential(Linear(2))
    name = param.typeConverter.__name__
    found = {"toInt": 3, "toFloat": 0.5, "toBoolean": True, "toString": "text"}
    lists = {"toListString": ["a", "b"], "toListFloat": [0.25, 0.75]}
    return {**found, **lists}[name]


def java_params(stage: Any) -> dict[str, tuple[str, Any]]:
    """The JVM's params: text and default, if there is one."""
    found = {}
    for param in stage._java_obj.params():
        default = stage._java_obj.getDefault(param)
        found[param.name()] = (param.doc(), default.get() if default.isDefined() else None)
    return found


def python_params(stage: Params) -> dict[str, tuple[str, Any]]:
    return {param.name: (param.doc, stage._defaultParamMap.get(param)) for param in stage.params}


@pytest.mark.parametrize("make", ESTIMATORS)
def test_an_estimator_has_the_params_of_the_jvms(spark: SparkSession, make: type) -> None:
    stage = make()
    expected, found = java_params(stage), python_params(stage)
    assert sorted(found) == sorted(expected)
    for name, (text, default) in expected.items():
        assert found[name][1] == default, name
        if name not in SHARED and not name.endswith("Col"):
            assert found[name][0] == text, name


def test_a_model_has_the_params_of_the_jvms(model: Any) -> None:
    made_from_java = [p.name for p in model.params if getattr(p, "created_from_java_param", False)]
    assert made_from_java == []
    assert sorted(p.name for p in model.params) == sorted(java_params(model))
    defaults = {k: v[1] for k, v in java_params(model).items()}
    assert {p.name: model._defaultParamMap.get(p) for p in model.params} == defaults


@pytest.mark.parametrize("make", ESTIMATORS)
def test_every_param_has_a_setter_a_getter_and_a_keyword(spark: SparkSession, make: type) -> None:
    for param in make().params:
        value = value_of(param)
        suffix = param.name[0].upper() + param.name[1:]
        stage = make()
        assert getattr(stage, f"set{suffix}")(value) is stage
        assert getattr(stage, f"get{suffix}")() == value, param.name
        assert getattr(make(**{param.name: value}), f"get{suffix}")() == value
        assert getattr(make().setParams(**{param.name: value}), f"get{suffix}")() == value


@pytest.mark.parametrize("make", ESTIMATORS)
def test_the_signature_names_every_param(spark: SparkSession, make: type) -> None:
    assert list(inspect.signature(make).parameters) == [param.name for param in make().params]


def test_an_unknown_keyword_is_refused_by_name(spark: SparkSession) -> None:
    with pytest.raises((TypeError, AttributeError), match="epoch"):
        NetworkClassifier(epoch=3)
    with pytest.raises(TypeError, match="positional"):
        NetworkClassifier(3)


def test_the_network_is_checked_when_it_is_set(spark: SparkSession) -> None:
    for wrong, message in [(7, "not int"), ("{}", "no 'format'")]:
        with pytest.raises((TypeError, ValueError), match=message):
            NetworkClassifier(network=wrong)


def test_an_explanation_does_not_print_the_weights(spark: SparkSession) -> None:
    network = Network.sequential(Linear(1000)).with_weights({"0.weight": np.zeros((1000, 100))})
    text = NetworkClassifier(network=network).explainParams()
    assert "network: the network that is trained (current: Network: features -> 0 Linear)" in text
    assert len(text) < 20_000


def test_a_value_that_the_jvm_refuses_is_named_by_fit(spark: SparkSession, blobs: Any) -> None:
    classifier = NetworkClassifier(network=Network.sequential(Linear(3)), batchSize=0)
    with pytest.raises(Exception, match="batchSize must be at least 1, not 0"):
        classifier.fit(blobs)


@pytest.mark.parametrize("make", ESTIMATORS)
def test_the_getter_of_a_param_without_a_value_raises_as_pysparks_do(
    spark: SparkSession, make: type
) -> None:
    with pytest.raises(KeyError) as expected:
        LogisticRegression().getThresholds()
    stage = make()
    without = [param for param in stage.params if not stage.isDefined(param)]
    assert {"network", "patience", "window"} <= {param.name for param in without}
    for param in without:
        with pytest.raises(KeyError) as found:
            getattr(stage, f"get{param.name[0].upper()}{param.name[1:]}")()
        assert type(found.value.args[0]) is type(expected.value.args[0])
        assert found.value.args[0] == param
