"""A network of layers as a PyTorch module: a ``torch.fx`` graph of ``torch.nn`` layers."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from firesteel import torch_layers

if TYPE_CHECKING:
    from firesteel.network import Network, Node

_MEMBER = re.compile(r"(member\.\d+\.).*")
_ACTIVATIONS: Mapping[str, Callable[[fx.Graph, fx.Node], fx.Node]] = {
    "softmax": lambda graph, value: graph.call_function(torch.softmax, (value, -1)),
    "sigmoid": lambda graph, value: graph.call_function(torch.sigmoid, (value,)),
}


@dataclass(frozen=True)
class Output:
    """One output of a network.

    Attributes
    ----------
    value
        The step that computes it: the logits, if the network ends in an activation.
    activation
        The activation at the end, ``softmax`` or ``sigmoid``.
    width
        The length of its last dimension.
    """

    value: fx.Node
    activation: str | None
    width: int


def layer_module(
    network: Network,
    weights: Mapping[str, NDArray[Any]] | None,
    examples: Mapping[str, Tensor],
    *,
    logits: bool = False,
    scale: float | Mapping[str, float] = 1.0,
    classes: bool = False,
) -> fx.GraphModule:
    """Builds the module of a network of layers.

    Parameters
    ----------
    network
        The network.
    weights
        Tensors by their ``state_dict`` names; those of an ensemble begin with ``member.<index>.``.
        None keeps PyTorch's initial values.
    examples
        Some rows of each input, from which the sizes of layers are inferred.
    logits
        If True, leaves out an output's final Softmax over the last dimension or final Sigmoid.
    scale
        A factor for the values (not token ids) of all inputs, or a factor for each input by name,
        1 for the others.
    classes
        True for classification: an ensemble then averages probabilities even if its networks
        output logits.

    Returns
    -------
    torch.fx.GraphModule
        The module in evaluation mode. It takes the inputs in order and returns the output, or a
        tuple of several.

    Raises
    ------
    ValueError
        If the `scale` of an input does not fit, a layer does not fit its input, or a tensor is
        missing, unknown or of another shape. The error names it.
    """
    builder = _Builder(network, examples, scale)
    members = [builder.member(prefix) for prefix in prefixes(weights)]
    module = finish(builder.graph, builder.modules, members, logits=logits, classes=classes)
    if weights is not None:
        load(module, weights)
    return module


def prefixes(weights: Mapping[str, NDArray[Any]] | None) -> list[str]:
    """Returns the prefixes of tensor names, one for each network."""
    found = [_MEMBER.fullmatch(name) for name in weights or ()]
    named = dict.fromkeys(match[1] for match in found if match)
    return list(named) if named and None not in found else [""]


def token_inputs(network: Network) -> set[str]:
    """Returns the inputs of token ids: an Embedding reads them, through layers that keep values."""
    tokens: set[str] = set()
    for node in reversed(network.nodes):
        keeps = node.name in tokens and node.op in torch_layers.KEEPS_VALUES
        if node.op == "Embedding" or keeps:
            tokens.update(node.inputs)
    return tokens.intersection(network.inputs)


def _scales(network: Network, scale: float | Mapping[str, float]) -> Mapping[str, float]:
    tokens = token_inputs(network)
    if not isinstance(scale, Mapping):
        return {name: scale for name in network.inputs if name not in tokens}
    for name, factor in scale.items():
        if name not in network.inputs:
            known = ", ".join(network.inputs)
            raise ValueError(f"scale names the input '{name}'; the network has {known}")
        if factor != 1.0 and name in tokens:
            raise ValueError(
                f"scale has {factor} for the input '{name}', which holds token ids: "
                "these are not scaled; use 1"
            )
    return scale


def placeholder(graph: fx.Graph, name: str) -> fx.Node:
    """Creates the module's argument for an input of the network."""
    return graph.placeholder(re.sub(r"\W", "_", name))


def finish(
    graph: fx.Graph,
    modules: dict[str, nn.Module],
    members: list[list[Output]],
    *,
    logits: bool,
    classes: bool,
) -> fx.GraphModule:
    """Creates the module that returns the outputs of a network or the means of an ensemble."""
    outputs = [_combine(graph, list(each), logits, classes) for each in zip(*members, strict=True)]
    graph.output(outputs[0] if len(outputs) == 1 else tuple(outputs))
    return fx.GraphModule(modules, graph, "Network").eval()


class _Builder:
    """Builds the networks of an ensemble side by side, over the same inputs."""

    def __init__(
        self, network: Network, examples: Mapping[str, Tensor], scale: float | Mapping[str, float]
    ) -> None:
        self.network = network
        self.graph = fx.Graph()
        self.modules: dict[str, nn.Module] = {}
        self._samples: dict[fx.Node, Any] = {}
        self._inputs = {name: placeholder(self.graph, name) for name in network.inputs}
        for name, value in self._inputs.items():
            self._samples[value] = examples[name]
        for name, factor in _scales(network, scale).items():
            if factor != 1.0:
                scaled = self.graph.call_function(torch.mul, (self._inputs[name], factor))
                self._inputs[name] = self._sample(scaled)

    def member(self, prefix: str) -> list[Output]:
        """Adds one network, its modules under names that begin with `prefix`."""
        values = dict(self._inputs)
        read = {name for node in self.network.nodes for name in node.inputs}
        outputs: dict[str, Output] = {}
        for node in self.network.nodes:
            inputs = [values[name] for name in node.inputs]
            value, activation = inputs[0], None
            if node.name in self.network.outputs and node.name not in read:
                activation = self._ending(node, value)
            if activation is None:
                value = self._layer(node, prefix + node.name, inputs)
            values[node.name] = value
            outputs[node.name] = Output(value, activation, self._samples[value].shape[-1])
        return [outputs[name] for name in self.network.outputs]

    def _layer(self, node: Node, target: str, inputs: list[fx.Node]) -> fx.Node:
        try:
            layer = torch_layers.module(node, self._samples[inputs[0]].shape)
            if layer is not None:
                _check_name(node.name)
                self.modules[target] = layer.eval()
            before = len(self.graph.nodes)
            value = torch_layers.steps(self.graph, node, target, inputs)
            for added in list(self.graph.nodes)[before:]:
                self._sample(added)
        except (TypeError, ValueError, RuntimeError, IndexError) as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(f"layer '{node.name}' ({node.op}): {reason}") from error
        return value

    def _sample(self, step: fx.Node) -> fx.Node:
        """Computes a step for two rows, for the shapes that later layers need."""
        args = fx.node.map_arg(step.args, self._samples.__getitem__)
        with torch.no_grad():
            if callable(step.target):
                result = step.target(*args)
            elif step.op == "call_module":
                result = self.modules[step.target](*args)
            else:
                result = getattr(args[0], step.target)(*args[1:])
        self._samples[step] = result
        return step

    def _ending(self, node: Node, value: fx.Node) -> str | None:
        """Returns the final activation that the engine separates from an output's logits."""
        if node.op == "Sigmoid":
            return "sigmoid"
        if node.op == "Softmax":
            dim = node.args.get("dim")
            if dim in (None, -1, self._samples[value].dim() - 1):
                return "softmax"
        return None


def _combine(graph: fx.Graph, members: list[Output], logits: bool, classes: bool) -> fx.Node:
    """Adds an output of the network, or for an ensemble the mean of its members' activations."""
    first = members[0]
    values = [member.value for member in members]
    gives = None if logits else first.activation
    if len(values) == 1:
        return _ACTIVATIONS[gives](graph, values[0]) if gives else values[0]
    averages = first.activation
    if averages is None and classes:
        averages = "sigmoid" if first.width == 1 else "softmax"
    if gives is None and averages is not None:
        return _logits_of_mean(graph, values, averages)
    if gives is not None:
        values = [_ACTIVATIONS[gives](graph, value) for value in values]
    stacked = graph.call_function(torch.stack, (values,))
    return graph.call_function(torch.mean, (stacked, 0))


def _logits_of_mean(graph: fx.Graph, values: list[fx.Node], activation: str) -> fx.Node:
    """Adds the logits of the mean of the members' activations, without underflow."""
    stacked = graph.call_function(torch.stack, (values,))

    def logarithm_of_mean(shares: fx.Node) -> fx.Node:
        total = graph.call_function(torch.logsumexp, (shares, 0))
        return graph.call_function(torch.sub, (total, float(np.log(len(values)))))

    if activation == "softmax":
        return logarithm_of_mean(graph.call_function(torch.log_softmax, (stacked, -1)))
    logsigmoid = nn.functional.logsigmoid
    positive = logarithm_of_mean(graph.call_function(logsigmoid, (stacked,)))
    opposite = graph.call_function(torch.neg, (stacked,))
    negative = logarithm_of_mean(graph.call_function(logsigmoid, (opposite,)))
    return graph.call_function(torch.sub, (positive, negative))


def archived(content: bytes) -> torch.jit.ScriptModule:
    """Reads a module that ``torch.jit.save`` wrote, on the CPU."""
    module: torch.jit.ScriptModule = torch.jit.load(  # type: ignore[no-untyped-call]
        io.BytesIO(content), map_location="cpu"
    )
    return module


def load(module: nn.Module, weights: Mapping[str, NDArray[Any]]) -> None:
    """Sets a module's tensors to weights of the same network.

    As in the engine, a tensor with several names is stored under one of them, and a buffer with
    values that are not finite, such as an attention mask, is a constant of the module.

    Raises
    ------
    ValueError
        If a tensor is missing, unknown or of another shape; the error names it.
    """
    own = module.state_dict()
    given = {_place(tensor) for name, tensor in own.items() if name in weights}
    for name, tensor in own.items():
        if name in weights:
            shape = np.shape(weights[name])
            if shape != tuple(tensor.shape):
                raise ValueError(
                    f"tensor '{name}' of the weights has the shape {list(shape)}; "
                    f"the network needs {list(tensor.shape)}"
                )
        elif _place(tensor) not in given and torch.isfinite(tensor).all():
            raise ValueError(f"the weights lack the network's tensor '{name}'")
    for name in weights:
        if name not in own:
            raise ValueError(f"the weights hold a tensor '{name}' that the network does not have")
    # A copy: the weights may be read-only views of a file's bytes.
    tensors = {name: torch.tensor(np.asarray(value)) for name, value in weights.items()}
    module.load_state_dict(tensors, strict=False)


def _place(tensor: Tensor) -> tuple[int, torch.Size, tuple[int, ...]]:
    """Returns a key that is equal for tensors that share their memory."""
    return tensor.data_ptr(), tensor.shape, tensor.stride()


_TAKEN = frozenset(dir(fx.GraphModule(nn.Module(), fx.Graph())))


def _check_name(name: str) -> None:
    for part in name.split("."):
        if not part or part in _TAKEN:
            raise ValueError(f"'{name}' is an attribute of PyTorch's modules; rename the layer")
