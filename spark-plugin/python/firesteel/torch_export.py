"""Networks and trained models as PyTorch modules, TorchScript and ONNX files."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from numpy.typing import NDArray

try:
    import torch
    from torch import Tensor, fx, nn
except ImportError as error:
    raise ImportError(
        "exporting a network needs PyTorch: pip install 'firesteel[torch]'", name="torch"
    ) from error

from firesteel import torch_graph
from firesteel.torch_branches import asks_for_kernels, inline_static_branches

if TYPE_CHECKING:
    from firesteel.network import BaseNetwork, Network
    from firesteel.torchscript import TorchScriptNetwork

_TYPES = {"float32": torch.float32, "int64": torch.int64}


def to_module(
    network: BaseNetwork,
    weights: Mapping[str, NDArray[Any]] | None,
    shapes: Mapping[str, Sequence[int]],
    *,
    logits: bool = False,
    scale: float | Mapping[str, float] = 1.0,
    classes: bool = False,
) -> nn.Module:
    """Creates a network's module; the arguments are those of :func:`torch_graph.layer_module`.

    Raises
    ------
    ValueError
        As there; if the shape of an input is unknown; if `logits` or `scale` are given for a
        TorchScript module, which is used unchanged.
    """
    if _is_scripted(network):
        if logits or scale != 1.0:
            raise ValueError(
                "logits and scale do not apply to a TorchScript module, only to networks of layers"
            )
        given = network.weights if weights is None else weights
        return _script_module(network, given, shapes, classes=classes)
    layers = cast("Network", network)
    own = layers.weights if weights is None else weights
    examples = example_inputs(network, shapes)
    return torch_graph.layer_module(
        layers, own, examples, logits=logits, scale=scale, classes=classes
    )


def _is_scripted(network: BaseNetwork) -> TypeGuard[TorchScriptNetwork]:
    return network.SCRIPTED


def example_inputs(network: BaseNetwork, shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Creates two rows of zeros for each input: ``float32``, or ``int64`` for token ids.

    Raises
    ------
    ValueError
        If the shape of an input is unknown; the error names the input.
    """
    if _is_scripted(network):
        types = {name: _TYPES[kind] for name, kind in network.input_types.items()}
    else:
        tokens = torch_graph.token_inputs(cast("Network", network))
        types = {n: torch.int64 if n in tokens else torch.float32 for n in network.inputs}
    for name in network.inputs:
        if name not in shapes:
            raise ValueError(
                f"the shape of the network's input '{name}' is not known; set it with "
                "with_input_shape or input_shapes"
            )
    return {name: torch.zeros(2, *shapes[name], dtype=kind) for name, kind in types.items()}


def export_torchscript(module: nn.Module, path: str | PathLike[str]) -> None:
    """Writes a module as a file that ``torch.jit.load`` reads, from Python and from C++."""
    with warnings.catch_warnings():
        # TorchScript is deprecated upstream, but libtorch cannot train its replacement.
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(module), fspath(path))


def export_onnx(
    module: nn.Module,
    path: str | PathLike[str],
    examples: Mapping[str, Tensor],
    outputs: Sequence[str],
    opset_version: int | None = None,
) -> None:
    """Writes a module as an ONNX file whose inputs and outputs have any number of rows.

    They have the network's names. A name that is a number, such as that of the last layer of a
    sequential network, gets the prefix `input_` or `output_`.

    Raises
    ------
    ImportError
        If the package ``onnx`` is not installed.
    ValueError
        If ONNX has no counterpart of an operator of the module; the error names it.
    """
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "export_onnx needs onnx: pip install 'firesteel[onnx]'", name="onnx"
        ) from error
    input_names = [_onnx_name("input", name) for name in examples]
    output_names = [_onnx_name("output", name) for name in outputs]
    inputs = tuple(examples.values())
    try:
        with warnings.catch_warnings():
            # The TorchScript exporter also supports scripted modules, and keeps an LSTM as one.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                inline_static_branches(module, inputs) if asks_for_kernels(module) else module,
                inputs,
                fspath(path),
                input_names=input_names,
                output_names=output_names,
                dynamic_axes={name: {0: "rows"} for name in (*input_names, *output_names)},
                opset_version=opset_version,
                dynamo=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"the network cannot be written as ONNX: {reason}") from error


def _onnx_name(kind: str, name: str) -> str:
    """Prefixes a number, because the exporter names its own values by numbers."""
    return f"{kind}_{name}" if name.isdecimal() else name


def _script_module(
    network: TorchScriptNetwork,
    weights: Mapping[str, NDArray[Any]] | None,
    shapes: Mapping[str, Sequence[int]],
    *,
    classes: bool,
) -> nn.Module:
    modules: dict[str, nn.Module] = {}
    for prefix in torch_graph.prefixes(weights):
        module = torch_graph.archived(network.module).eval()
        if weights is not None:
            torch_graph.load(
                module,
                {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)},
            )
        modules[prefix.removesuffix(".")] = module
    if "" in modules:
        return modules[""]
    examples = example_inputs(network, shapes)
    graph = fx.Graph()
    inputs = tuple(torch_graph.placeholder(graph, name) for name in network.inputs)
    members = []
    for target, member in modules.items():
        with torch.no_grad():
            given = member(*examples.values())
        called = graph.call_module(target, inputs)
        values = (
            [called]
            if isinstance(given, Tensor)
            else [graph.call_function(operator.getitem, (called, i)) for i in range(len(given))]
        )
        samples = [given] if isinstance(given, Tensor) else given
        members.append(
            [
                torch_graph.Output(value, None, sample.shape[-1])
                for value, sample in zip(values, samples, strict=True)
            ]
        )
    return torch_graph.finish(graph, modules, members, logits=False, classes=classes)
