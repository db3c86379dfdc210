"""PyTorch modules as networks."""

from __future__ import annotations

import copy
import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any, cast

try:
    import torch
    from torch import Tensor, nn
except ImportError as error:
    raise ImportError(
        "from_torch needs PyTorch: pip install 'firesteel[torch]'", name="torch"
    ) from error

from firesteel import torch_graph
from firesteel.torchscript import TorchScriptNetwork


def from_torch(
    module: nn.Module,
    example_inputs: Tensor | Sequence[Tensor] | None = None,
    *,
    input_types: Sequence[str] | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> TorchScriptNetwork:
    """Makes a network of a PyTorch module, which the engine trains unchanged.

    The module is converted to TorchScript: by ``torch.jit.script``; if that fails, by scripting the
    result of ``torch.fx.symbolic_trace``; if that fails too and `example_inputs` are given, by
    ``torch.jit.trace``. A trace keeps the mode in which it was made, so a traced module must not
    behave differently in training (dropout, batch normalization). A ``ScriptModule`` is used
    unchanged. Training starts from the module's weights; the module is not changed.

    A module must output logits: the loss of a classifier includes the softmax or the sigmoid, and
    rejects a module that ends in one.

    Parameters
    ----------
    module
        Takes tensors whose first dimension is the rows, as positional arguments, and returns a
        tensor or a tuple of tensors. Its floating-point parameters and buffers are ``float32``.
    example_inputs
        A mini-batch: the tensor of each input. It determines the types of the inputs and the shapes
        of a row.
    input_types
        ``"float32"`` or ``"int64"`` (token ids) for each input. Default: the types of
        `example_inputs`, or ``"float32"``.
    input_names
        By default the names of the arguments of ``forward``.
    output_names
        By default ``output``, or ``output0``, ``output1``, ... for several.

    Raises
    ------
    ValueError
        If the module is not convertible to TorchScript; if the engine does not support an input or
        a tensor; if a recurrent layer (``nn.LSTM``, ``nn.GRU``, ``nn.RNN``) would not learn. The
        error gives the reason and the name.

    Examples
    --------
    >>> import torch
    >>> import firesteel
    >>> network = firesteel.from_torch(torch.nn.Linear(4, 3))
    >>> [(name, kind) for name, kind in network.input_types.items()]
    [('input', 'float32')]
    """
    for name, parameter in module.named_parameters():
        if nn.parameter.is_lazy(parameter):
            raise ValueError(f"the parameter '{name}' has no shape yet; run the module on a batch")
    examples = _examples(example_inputs)
    compiled = _compile(module, examples)
    _check_lists(compiled)
    _check_tensors(compiled)
    names = _inputs(compiled, examples, input_types, input_names)
    types = _types(module, names, examples, input_types)
    outputs = _outputs(compiled, output_names)
    shapes = {}
    if examples is not None:
        shapes = {name: tuple(x.shape[1:]) for name, x in zip(names, examples, strict=True)}
    return TorchScriptNetwork(
        dict(zip(names, types, strict=True)), outputs, _archive(compiled), input_shapes=shapes
    )


def _examples(given: Tensor | Sequence[Tensor] | None) -> tuple[Tensor, ...] | None:
    if given is None:
        return None
    examples = (given,) if isinstance(given, Tensor) else tuple(given)
    for index, example in enumerate(examples):
        if not isinstance(example, Tensor) or example.dim() < 2 or len(example) == 0:
            raise ValueError(
                f"example_inputs[{index}] must be a tensor of rows, such as [rows, features]"
            )
    return examples


def _compile(module: nn.Module, examples: tuple[Tensor, ...] | None) -> torch.jit.ScriptModule:
    if isinstance(module, torch.jit.ScriptModule):
        return module
    ways: dict[str, Callable[[], torch.jit.ScriptModule]] = {
        "scripted": lambda: _script(module),
        "traced symbolically": lambda: _symbolic(module),
    }
    if examples is not None:
        ways["traced"] = lambda: _trace(module, examples)
    reasons = []
    for way, compiled in ways.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return compiled()
        except Exception as error:  # The compilers raise any kind of error, depending on the code.
            reasons.append(f"it cannot be {way}: {_first_line(error)}")
    advice = "" if examples is not None else "; give example_inputs for it to be traced"
    raise ValueError(
        f"the module {type(module).__name__} cannot be turned into TorchScript{advice}. "
        + ". ".join(reasons)
    )


def _script(module: nn.Module) -> torch.jit.ScriptModule:
    compiled = torch.jit.script(module)
    if not hasattr(compiled, "forward"):
        raise ValueError("its forward is overloaded")
    return compiled


def _symbolic(module: nn.Module) -> torch.jit.ScriptModule:
    training, evaluation = (
        torch.fx.symbolic_trace(copy.deepcopy(module).train(mode)) for mode in (True, False)
    )
    if training.code != evaluation.code:
        raise ValueError("it computes something else in training, which a trace does not preserve")
    for node in list(training.graph.nodes):
        # TorchScript does not resolve an annotation that is a text; without one it is a tensor.
        node.type = None
        # TorchScript has no *args and **kwargs; unread ones can be removed.
        if node.op == "placeholder" and node.target.startswith("*") and not node.users:
            training.graph.erase_node(node)
    training.recompile()
    return _script(training)


def _trace(module: nn.Module, examples: tuple[Tensor, ...]) -> torch.jit.ScriptModule:
    training, evaluation = (
        torch.jit.trace(  # type: ignore[no-untyped-call]
            copy.deepcopy(module).train(mode), examples, check_trace=False
        )
        for mode in (True, False)
    )
    if _unmangled(training) != _unmangled(evaluation):
        raise ValueError("it computes something else in training, which a trace does not preserve")
    doubled = tuple(torch.cat([example, example]) for example in examples)
    try:
        with torch.no_grad():
            evaluation(*doubled)
    except RuntimeError as error:
        rows = len(examples[0])
        raise ValueError(f"its trace only takes batches of {rows} rows") from error
    return cast("torch.jit.ScriptModule", evaluation)


def _unmangled(traced: torch.jit.ScriptModule) -> str:
    """Returns the code of a trace without the numbers in the names of its classes."""
    return re.sub(r"___torch_mangle_\d+\.", "", str(traced.inlined_graph))


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".:") if lines else type(error).__name__


def _check_lists(compiled: torch.jit.ScriptModule) -> None:
    """Rejects layers that TorchScript runs on a list of parameters: they would not learn."""
    for name, part in compiled.named_modules():
        listed = getattr(part, "_flat_weights", None)
        # Frozen parameters are meant to stay as they are.
        if isinstance(listed, list) and any(tensor.requires_grad for tensor in listed):
            kind = getattr(part, "original_name", type(part).__name__)
            raise ValueError(
                (f"layer '{name}' of the module" if name else "the module")
                + f" has the type {kind} and would not learn: TorchScript runs it on a list of "
                f"its parameters, which training does not reach; use a loop over nn.{kind}Cell, or "
                "the layers LSTM and GRU of a firesteel.Network"
            )


def _check_tensors(compiled: torch.jit.ScriptModule) -> None:
    for name, tensor in compiled.state_dict().items():
        if tensor.dtype != torch.float32 and (tensor.is_floating_point() or tensor.is_complex()):
            kind = str(tensor.dtype).removeprefix("torch.")
            raise ValueError(
                f"the module's tensor '{name}' is {kind}, not float32; call module.float() first"
            )


def _schema(compiled: torch.jit.ScriptModule) -> Any:
    """Returns the argument and return types of ``forward``."""
    forward: Any = compiled.forward
    return forward.schema


def _inputs(
    compiled: torch.jit.ScriptModule,
    examples: tuple[Tensor, ...] | None,
    types: Sequence[str] | None,
    names: Sequence[str] | None,
) -> list[str]:
    """Returns the names of the inputs; their number follows from the given arguments."""
    arguments = _schema(compiled).arguments[1:]
    required = [argument for argument in arguments if not argument.has_default_value()]
    given = {"example_inputs": examples, "input_types": types, "input_names": names}
    counts = {what: len(values) for what, values in given.items() if values is not None}
    count = next(iter(counts.values()), max(len(required), 1))
    for what, other in counts.items():
        if other != count or not len(required) <= other <= len(arguments):
            raise ValueError(
                f"{what} are for {other} inputs; the module's forward takes "
                f"{', '.join(argument.name for argument in arguments)}"
                + (f" and {next(iter(counts))} are for {count}" if other != count else "")
            )
    for argument in arguments[:count]:
        if "Tensor" not in (str(argument.type), str(argument.type).removesuffix("?")):
            raise ValueError(
                f"the module's input '{argument.name}' is a {argument.type}; inputs are tensors"
            )
    return list(names) if names is not None else [a.name for a in arguments[:count]]


def _types(
    module: nn.Module,
    names: list[str],
    examples: tuple[Tensor, ...] | None,
    types: Sequence[str] | None,
) -> list[str]:
    known = ("float32", "int64")
    for name, kind in zip(names, types or (), strict=False):
        if kind not in known:
            raise ValueError(f"input_types: '{kind}' of input '{name}' must be float32 or int64")
    if types is not None:
        return list(types)
    if examples is not None:
        return [known[0] if x.is_floating_point() else known[1] for x in examples]
    embeddings = (nn.Embedding, nn.EmbeddingBag)
    for name, part in module.named_modules():
        if isinstance(part, embeddings):
            raise ValueError(
                f"the module has an Embedding, '{name}': set input_types or example_inputs to say "
                "which inputs hold token ids"
            )
    return [known[0]] * len(names)


def _outputs(compiled: torch.jit.ScriptModule, names: Sequence[str] | None) -> list[str]:
    returned = _schema(compiled).returns[0].type
    parts = returned.elements() if returned.kind() == "TupleType" else [returned]
    if not parts or any(part.kind() != "TensorType" for part in parts):
        raise ValueError(
            f"the module returns a {returned}; it must return a tensor or a tuple of tensors"
        )
    if names is None:
        return ["output"] if len(parts) == 1 else [f"output{i}" for i in range(len(parts))]
    if len(names) != len(parts):
        raise ValueError(
            f"output_names names {len(names)} outputs; the module returns {len(parts)}"
        )
    return list(names)


def _archive(compiled: torch.jit.ScriptModule) -> bytes:
    """Returns the bytes of ``torch.jit.save``, for the CPU."""
    buffer = io.BytesIO()
    torch.jit.save(compiled, buffer)
    if any(tensor.device.type != "cpu" for tensor in compiled.state_dict().values()):
        on_cpu = torch_graph.archived(buffer.getvalue())
        buffer = io.BytesIO()
        torch.jit.save(on_cpu, buffer)
    return buffer.getvalue()
