"""The network to train."""

from __future__ import annotations

from typing import Any, Self, TypedDict

from pyspark.ml.param import Param, Params, TypeConverters

from firesteel.network import BaseNetwork


def to_json(value: Any) -> str:
    """Returns the JSON of a network; a text is checked to be one."""
    if isinstance(value, BaseNetwork):
        return value.to_json()
    if isinstance(value, str):
        BaseNetwork.from_json(value)
        return TypeConverters.toString(value)
    raise TypeError(f"network must be a firesteel network or its JSON, not {type(value).__name__}")


class NetworkParams(Params):
    """The network to train. The param's value is the network's JSON."""

    network: Param[str] = Param(
        Params._dummy(), "network", "the network that is trained", typeConverter=to_json
    )

    def getNetwork(self) -> BaseNetwork:
        """Returns :py:attr:`network`, read from its JSON."""
        return BaseNetwork.from_json(self.getOrDefault(self.network))

    def explainParam(self, param: str | Param[Any]) -> str:
        """Explains a param; a network by its layers only, because weights may be megabytes."""
        found = self._resolveParam(param)
        if found.name != self.network.name or not self.isSet(found):
            return super().explainParam(found)
        return f"{found.name}: {found.doc} (current: {self.getNetwork()})"


class NetworkSetters(NetworkParams):
    """Setters of :class:`NetworkParams`, for estimators."""

    def setNetwork(self, value: BaseNetwork | str) -> Self:
        """Sets :py:attr:`network`, to a network or the JSON of one."""
        return self._set(network=value)


class NetworkOptions(TypedDict, total=False):
    """Keyword arguments for :class:`NetworkParams`."""

    network: BaseNetwork | str
