"""Networks that estimators train: their base class, and graphs of layers."""

from __future__ import annotations

import base64
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from firesteel import safetensors
from firesteel.layers import Layer
from firesteel.layers.containers import flatten

if TYPE_CHECKING:
    from torch import nn

DEFAULT_INPUT = "features"
"""The name of the input of a sequential network."""


class BaseNetwork(ABC):
    """A network that an estimator trains. Networks are immutable and compare by content."""

    FORMAT: ClassVar[str]
    SCRIPTED: ClassVar[bool] = False
    """True for a network whose module is TorchScript."""

    _kinds: ClassVar[dict[str, type[BaseNetwork]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        BaseNetwork._kinds[cls.FORMAT] = cls

    def __init__(self, input_shapes: Mapping[str, Sequence[int]] | None) -> None:
        shapes = {name: tuple(shape) for name, shape in (input_shapes or {}).items()}
        for name, shape in shapes.items():
            if name not in self.inputs:
                raise ValueError(f"input_shapes names '{name}', which is not an input")
            if not shape or any(size < 1 for size in shape):
                raise ValueError(
                    f"the shape of input '{name}' must have sizes of at least 1, not {shape}"
                )
        self._input_shapes = MappingProxyType(shapes)

    @property
    @abstractmethod
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs, in order."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs, in order."""

    @property
    def input_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The row shapes of the inputs whose features come as a flat list of values."""
        return self._input_shapes

    def to_torch(
        self,
        weights: Mapping[str, NDArray[Any]] | None = None,
        *,
        logits: bool = False,
        scale: float | Mapping[str, float] = 1.0,
    ) -> nn.Module:
        """Returns the network as a PyTorch module, in evaluation mode.

        Parameters
        ----------
        weights : dict, optional
            Arrays by name, as a model's ``weights``. Default: those of the network itself, or
            else PyTorch's initial values.
        logits : bool
            If True, leaves out the ``Softmax`` or ``Sigmoid`` at the end of an output.
        scale : float or dict
            A factor for the values (not token ids) of all inputs, or a factor for each input by
            name, 1 for the others.

        Raises
        ------
        ImportError
            Without PyTorch.
        ValueError
            If the shape of an input is unknown or its `scale` does not fit; if a layer does not fit
            its input; if a tensor is missing, unknown or of another shape; if `logits` or `scale`
            is set for a TorchScript network, whose module is returned unchanged.
        """
        from firesteel.torch_export import to_module

        return to_module(self, weights, self.input_shapes, logits=logits, scale=scale)

    @abstractmethod
    def _document(self) -> dict[str, Any]:
        """The document of :meth:`to_json` without format and input shapes."""

    @classmethod
    @abstractmethod
    def _from_document(
        cls, document: dict[str, Any], input_shapes: Mapping[str, Sequence[int]] | None
    ) -> Self:
        """Reads the document of :meth:`_document`."""

    def to_json(self) -> str:
        """Returns the network as JSON, the value of the param ``network``. Scala reads it too."""
        document = {"format": self.FORMAT, **self._document()}
        if self._input_shapes:
            document["inputShapes"] = {
                name: list(self._input_shapes[name])
                for name in self.inputs
                if name in self._input_shapes
            }
        return json.dumps(document, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads the JSON of :meth:`to_json` or of Scala's ``Network.toJson``.

        Raises
        ------
        ValueError
            If the text is not the JSON of such a network; the error says where.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise ValueError(f"this is not the JSON of a network: {error}") from None
        if not isinstance(document, dict) or "format" not in document:
            raise ValueError("this is not the JSON of a network: it has no 'format'")
        kind = document.pop("format")
        found = BaseNetwork._kinds.get(kind)
        if found is None or not issubclass(found, cls):
            readable = [
                name for name, known in BaseNetwork._kinds.items() if issubclass(known, cls)
            ]
            raise ValueError(
                f"this is not the JSON of a network: its format is '{kind}', "
                f"not {' or '.join(readable)}"
            )
        shapes = document.pop("inputShapes", None)
        try:
            return found._from_document(document, shapes)
        except KeyError as error:
            raise ValueError(f"this is not the JSON of a network: it has no {error}") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BaseNetwork) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())


@dataclass(frozen=True)
class Node:
    """A node of a network's graph: one layer of ``torch.nn``, or an operation such as ``Add``.

    Parameters
    ----------
    name : str
        Unique in the network; its parameters are named ``<name>.weight`` and so on, as in PyTorch's
        ``state_dict``.
    op : str
        The layer's name in ``torch.nn``.
    inputs : tuple of str
        The names of the network's inputs or earlier nodes that the node reads.
    args : dict, optional
        Arguments by their names in ``torch.nn``. A missing one has PyTorch's default; a missing
        input size is inferred.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    args: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        object.__setattr__(self, "args", MappingProxyType(dict(self.args)))

    @staticmethod
    def of(name: str, layer: Layer, *inputs: str) -> Node:
        """Creates the node of a layer."""
        return Node(name, layer.op, inputs, layer.args())


class Network(BaseNetwork):
    """A neural network as a directed graph of layers.

    Most networks are made by :meth:`sequential`; any other graph is given by its nodes. Shapes are
    not known here: the driver infers and checks them when the network meets data.

    Parameters
    ----------
    inputs : sequence of str
        The names of the network's inputs.
    nodes : sequence of Node
        The layers, each after those that it reads.
    outputs : sequence of str
        The nodes whose values are the network's outputs.
    input_shapes : dict, optional
        The row shapes of the inputs whose features come as a flat list of values and are reshaped,
        such as ``(1, 28, 28)`` for 784 pixels.
    weights : dict or bytes, optional
        The starting weights: arrays by name, as in PyTorch's ``state_dict``, or safetensors.

    Examples
    --------
    >>> from firesteel import Network
    >>> from firesteel.layers import Linear, ReLU, Softmax
    >>> network = Network.sequential(Linear(500), ReLU(), Linear(10), Softmax())
    >>> network
    Network: features -> 0 Linear -> 1 ReLU -> 2 Linear -> 3 Softmax
    >>> Network.from_json(network.to_json()) == network
    True
    """

    FORMAT = "firesteel.network/1"

    def __init__(
        self,
        inputs: Sequence[str],
        nodes: Sequence[Node],
        outputs: Sequence[str],
        input_shapes: Mapping[str, Sequence[int]] | None = None,
        weights: Mapping[str, NDArray[Any]] | bytes | None = None,
    ) -> None:
        self._inputs = tuple(inputs)
        self._nodes = tuple(nodes)
        self._outputs = tuple(outputs)
        self._weights = (
            weights if weights is None or isinstance(weights, bytes) else encode_weights(weights)
        )
        super().__init__(input_shapes)
        self._check()

    @staticmethod
    def sequential(*layers: Layer) -> Network:
        """Creates a network of consecutive layers, with one input.

        Layers are named as in a ``torch.nn.Sequential``: by their index, and within a container by
        its name and their index there (``2.0``); those of a residual's shortcut as
        ``2.shortcut.0``.
        """
        nodes = [Node.of(name, layer, *inputs) for name, layer, inputs in flatten(layers)]
        # The output of containers that are empty is the input; _check says so.
        return Network((DEFAULT_INPUT,), nodes, (nodes[-1].name if nodes else DEFAULT_INPUT,))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the network's inputs."""
        return self._inputs

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The layers, each after those that it reads."""
        return self._nodes

    @property
    def outputs(self) -> tuple[str, ...]:
        """The nodes whose values are the network's outputs."""
        return self._outputs

    @property
    def weights(self) -> dict[str, NDArray[Any]] | None:
        """The starting weights: arrays by name, or None for the layers' own initialization."""
        return None if self._weights is None else safetensors.decode(self._weights)

    def with_input_shape(self, *shape: int) -> Network:
        """Returns the same network over rows of this shape, for networks with one input.

        Features that come as a flat list of values are reshaped.
        """
        if len(self._inputs) != 1:
            raise ValueError("with_input_shape is for networks of one input; use input_shapes")
        shapes = {self._inputs[0]: shape}
        return Network(self._inputs, self._nodes, self._outputs, shapes, self._weights)

    def with_weights(self, weights: Mapping[str, NDArray[Any]] | bytes | None) -> Network:
        """Returns the same network with these starting weights.

        Parameters
        ----------
        weights : dict or bytes
            Arrays by name, as in PyTorch's ``state_dict``, or safetensors; None for none.
        """
        return Network(self._inputs, self._nodes, self._outputs, self._input_shapes, weights)

    def _document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "inputs": self._inputs,
            "nodes": [
                {
                    "name": node.name,
                    "op": node.op,
                    "inputs": node.inputs,
                    "args": dict(sorted(node.args.items())),
                }
                for node in self._nodes
            ],
            "outputs": self._outputs,
        }
        if self._weights is not None:
            document["weights"] = base64.b64encode(self._weights).decode()
        return document

    @classmethod
    def _from_document(
        cls, document: dict[str, Any], input_shapes: Mapping[str, Sequence[int]] | None
    ) -> Self:
        weights = document.get("weights")
        return cls(
            document["inputs"],
            [
                Node(node["name"], node["op"], node["inputs"], node.get("args", {}))
                for node in document["nodes"]
            ],
            document["outputs"],
            input_shapes,
            None if weights is None else base64.b64decode(weights),
        )

    def _check(self) -> None:
        for what, values in (
            ("input", self._inputs),
            ("layer", self._nodes),
            ("output", self._outputs),
        ):
            if not values:
                raise ValueError(f"a network needs at least one {what}")
        known: set[str] = set()
        for name in self._inputs:
            _define(name, known)
        for node in self._nodes:
            if not node.inputs:
                raise ValueError(f"layer '{node.name}' ({node.op}) reads nothing")
            for name in node.inputs:
                if name not in known:
                    raise ValueError(
                        f"layer '{node.name}' ({node.op}) reads '{name}', which is neither an "
                        "input nor a layer before it"
                    )
            _define(node.name, known)
        names = {node.name for node in self._nodes}
        for name in self._outputs:
            if name not in names:
                raise ValueError(f"the network's output '{name}' is not a layer")

    def __repr__(self) -> str:
        reads: Iterable[str] = self._inputs
        steps = []
        for node in self._nodes:
            steps.append(
                f"{node.name} {node.op}"
                if node.inputs == tuple(reads)
                else f"{node.name} {node.op}({', '.join(node.inputs)})"
            )
            reads = (node.name,)
        return f"Network: {', '.join(self._inputs)} -> {' -> '.join(steps)}"


def encode_weights(weights: Mapping[str, NDArray[Any]]) -> bytes:
    """Encodes weights as safetensors; floating-point tensors become float32, as in the engine."""
    arrays = {name: np.asarray(value) for name, value in weights.items()}
    return safetensors.encode(
        {
            name: array.astype(np.float32) if np.issubdtype(array.dtype, np.floating) else array
            for name, array in arrays.items()
        }
    )


def _define(name: str, known: set[str]) -> None:
    if not name:
        raise ValueError("a network's inputs and layers need a name")
    if name in known:
        raise ValueError(f"the name '{name}' is used twice in the network")
    known.add(name)
