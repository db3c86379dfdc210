"""The base classes of estimators and models."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from inspect import Parameter, Signature
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from types import FrameType
from typing import Any, ClassVar, Generic, Self, TypeVar

from numpy.typing import NDArray
from pyspark.ml.base import _FitMultipleIterator
from pyspark.ml.param import Param, Params
from pyspark.ml.param.shared import HasWeightCol
from pyspark.ml.util import JavaMLWritable
from pyspark.ml.wrapper import JavaEstimator, JavaModel, JavaWrapper
from pyspark.sql import DataFrame, is_remote

from firesteel import safetensors
from firesteel.exports import TorchExports
from firesteel.fit_warnings import issue
from firesteel.network import BaseNetwork
from firesteel.params.network import NetworkOptions, NetworkSetters, to_json
from firesteel.params.training import TrainingOptions, TrainingParams, TrainingSetters
from firesteel.summary import TrainingSummary

C = TypeVar("C", bound=type)
M = TypeVar("M", bound="NetworkModelBase")
_INT_BITS = 32


class EstimatorOptions(NetworkOptions, TrainingOptions, total=False):
    """Keyword arguments that all estimators have."""

    weightCol: str


def expose_signature(options: type) -> Callable[[C], C]:
    """Sets the signature of a class to the keys of a TypedDict, for completion in notebooks."""
    names = sorted(options.__annotations__)
    shown = Signature([Parameter(name, Parameter.KEYWORD_ONLY, default=None) for name in names])

    def show(cls: C) -> C:
        cls.__signature__ = shown  # type: ignore[attr-defined]
        return cls

    return show


class _Seeded(Params):
    """Gives the seed the JVM's default, which is the same in each run.

    PySpark's default is a Python hash, which differs from process to process.
    """

    _java_class: ClassVar[str]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._setDefault(seed=_java_hash(self._java_class))


class NetworkEstimation(
    _Seeded,
    JavaEstimator[M],
    NetworkSetters,
    TrainingSetters,
    HasWeightCol,
    JavaMLWritable,
):
    """An estimator that trains a network in the JVM."""

    def __init__(self) -> None:
        super().__init__()
        self._java_obj = _new_java_object(self._java_class, self.uid)

    def _make_java_param_pair(self, param: Param[Any], value: Any) -> Any:
        # The values of a grid have not been through the param's converter.
        converted = to_json(value) if param.name == self.network.name else value
        return super()._make_java_param_pair(param, converted)

    def _fit(self, dataset: DataFrame) -> M:
        if is_remote() or not _searching():
            model: M = super()._fit(dataset)
        else:
            # A stage of a search's Pipeline: if this candidate diverges, the others go on.
            self._transfer_params_to_java()
            estimator: Any = self._java_obj
            java_model = estimator.fitCandidate(dataset._jdf)
            model = self._copyValues(self._create_model(java_model))
        issue(model.summary.warnings)
        return model

    def fitMultiple(
        self, dataset: DataFrame, paramMaps: Sequence[dict[Param[Any], Any]]
    ) -> Iterator[tuple[int, M]]:
        """Fits a model for each map, side by side over one reading of the data if possible.

        ``fit(dataset, paramMaps)`` and the searches of ``pyspark.ml.tuning`` call this. The first
        request for a model trains all of them. A Spark Connect client fits them one by one.
        """
        if is_remote():
            return super().fitMultiple(dataset, paramMaps)
        search = _Search(self.copy(), dataset, paramMaps)
        return _FitMultipleIterator(search.model, len(paramMaps))

    def _fit_all(self, dataset: DataFrame, maps: Sequence[dict[Param[Any], Any]]) -> list[M]:
        self._transfer_params_to_java()
        jvm: Any = dataset.sparkSession._jvm
        estimator: Any = self._java_obj
        java_maps = [self._transfer_param_map_to_java(values) for values in maps]
        models = _items(estimator.fit(dataset._jdf, jvm.PythonUtils.toSeq(java_maps)))
        candidates = [self.copy(values) for values in maps]
        fitted = [
            candidate._copyValues(candidate._create_model(model))
            for candidate, model in zip(candidates, models, strict=True)
        ]
        for index, model in enumerate(fitted):
            name = f"candidate {index + 1} of {len(fitted)}"
            issue(f"{name}: {text}" for text in model.summary.warnings)
        return fitted

    def setWeightCol(self, value: str) -> Self:
        """Sets :py:attr:`weightCol`."""
        return self._set(weightCol=value)


class _Search(Generic[M]):
    """The models of several parameter maps; the first request, from any thread, trains all."""

    def __init__(
        self,
        estimator: NetworkEstimation[M],
        dataset: DataFrame,
        maps: Sequence[dict[Param[Any], Any]],
    ) -> None:
        self._lock = Lock()
        self._train = partial(estimator._fit_all, dataset, maps)
        self._outcome: list[M] | Exception | None = None

    def model(self, index: int) -> M:
        with self._lock:
            if self._outcome is None:
                try:
                    self._outcome = self._train()
                except Exception as error:
                    # Later requests get the same error: nothing is trained twice.
                    self._outcome = error
            if isinstance(self._outcome, Exception):
                raise self._outcome
            return self._outcome[index]


class NetworkModelBase(
    _Seeded, JavaModel, TrainingParams, HasWeightCol, JavaMLWritable, TorchExports
):
    """The base class of trained models."""

    _java_obj: Any
    _network: BaseNetwork | None = None

    @property
    def network(self) -> BaseNetwork:
        """The trained network, without its weights."""
        # Kept, since Py4J takes a second for 20 MB of a TorchScript network. PySpark reads every
        # attribute that is not a property in search of params, also a cached_property.
        if self._network is None:
            self._network = BaseNetwork.from_json(self._jvm_model("network").network().toJson())
        return self._network

    @property
    def weights(self) -> dict[str, NDArray[Any]]:
        """The trained weights: read-only arrays, named as in PyTorch's ``state_dict``."""
        model = self._jvm_model("weights")
        with TemporaryDirectory(prefix="firesteel-weights-") as folder:
            file = Path(folder) / "weights.safetensors"
            model.writeWeights(str(file))
            return safetensors.decode(file.read_bytes())

    @property
    def _row_shapes(self) -> dict[str, Sequence[int]]:
        inputs = _items(self._java_obj.fitted().inputs())
        return {column.name(): _items(column.shape()) for column in inputs}

    @property
    def summary(self) -> TrainingSummary:
        """The training summary."""
        if is_remote():
            # The server lets clients call the summary's toString, which returns JSON.
            text = JavaWrapper(f"{self._java_obj}.summary")._call_java("toString")
        else:
            text = self._java_obj.summary().toJson()
        return TrainingSummary.from_json(text)

    def hasParam(self, paramName: str) -> bool:
        """Returns True for a param of that name. A model has no param ``network``."""
        return paramName != "network" and super().hasParam(paramName)

    def _jvm_model(self, part: str) -> Any:
        if is_remote():
            raise NotImplementedError(
                f"Spark Connect does not expose a model's {part}: save the model and "
                f"use firesteel.load_{part}(path)"
            )
        return self._java_obj


def _new_java_object(java_class: str, uid: str) -> Any:
    """Creates an object in the JVM, or its stand-in on a Spark Connect client."""
    try:
        return JavaWrapper._new_java_obj(java_class, uid)
    except TypeError as error:
        # Py4J takes a class that is not on the class path for a package, which cannot be called.
        raise RuntimeError(
            f"the running Spark has no class {java_class}: start it with firesteel.session(), "
            "or with the jars of firesteel.spark_jars()"
        ) from error


def _searching() -> bool:
    """True within a search of ``pyspark.ml.tuning``, which a failed fit would end."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == "pyspark.ml.tuning":
            return True
        frame = frame.f_back
    return False


def _items(sequence: Any) -> list[Any]:
    """The items of a Scala sequence."""
    return [sequence.apply(index) for index in range(sequence.size())]


def _java_hash(text: str) -> int:
    """``String.hashCode``."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & ((1 << _INT_BITS) - 1)
    return value - (1 << _INT_BITS) if value >> (_INT_BITS - 1) else value
