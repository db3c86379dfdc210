"""Each layer as a PyTorch module, as TorchScript and as ONNX, beside its formula."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from closeness import assert_close
from firesteel import Network, torch_layers
from firesteel.network import Node
from firesteel.torch_export import example_inputs, export_onnx, export_torchscript
from torch import Tensor
from torch.nn import functional

ROOT = Path(__file__).resolve().parents[3]
Tensors = Mapping[str, Tensor]


@dataclass
class Case:
    """A layer over rows of a shape, and its result by formula."""

    op: str
    args: dict[str, object]
    shape: tuple[int, ...]
    formula: Callable[[Tensor, Tensors], Tensor]
    tensors: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.op}-{'-'.join(self.args)}"


def norm(x: Tensor, mean: Tensor, variance: Tensor, epsilon: float) -> Tensor:
    return (x - mean) / torch.sqrt(variance + epsilon)


def batch_norm(x: Tensor, t: Tensors, epsilon: float) -> Tensor:
    shape = (-1, *[1] * (x.dim() - 2))
    mean, variance = t["running_mean"].view(shape), t["running_var"].view(shape)
    return norm(x, mean, variance, epsilon) * t["weight"].view(shape) + t["bias"].view(shape)


def lstm(x: Tensor, t: Tensors, suffix: str = "l0") -> Tensor:
    """All hidden states, [rows, length, hidden]."""
    hidden = cell = torch.zeros(len(x), t[f"weight_hh_{suffix}"].shape[1])
    states = []
    for step in x.unbind(1):
        gates = step @ t[f"weight_ih_{suffix}"].T + t[f"bias_ih_{suffix}"]
        gates = gates + hidden @ t[f"weight_hh_{suffix}"].T + t[f"bias_hh_{suffix}"]
        i, f, g, o = gates.chunk(4, 1)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        hidden = torch.sigmoid(o) * torch.tanh(cell)
        states.append(hidden)
    return torch.stack(states, 1)


def gru(x: Tensor, t: Tensors, suffix: str = "l0") -> Tensor:
    """All hidden states, [rows, length, hidden]."""
    hidden = torch.zeros(len(x), t[f"weight_hh_{suffix}"].shape[1])
    states = []
    for step in x.unbind(1):
        i = (step @ t[f"weight_ih_{suffix}"].T + t[f"bias_ih_{suffix}"]).chunk(3, 1)
        h = (hidden @ t[f"weight_hh_{suffix}"].T + t[f"bias_hh_{suffix}"]).chunk(3, 1)
        reset, update = torch.sigmoid(i[0] + h[0]), torch.sigmoid(i[1] + h[1])
        hidden = (1 - update) * torch.tanh(i[2] + reset * h[2]) + update * hidden
        states.append(hidden)
    return torch.stack(states, 1)


def both_last(cell: Callable[..., Tensor], x: Tensor, t: Tensors) -> Tensor:
    forward, backward = cell(x, t, "l0"), cell(x.flip(1), t, "l0_reverse")
    return torch.cat([forward[:, -1], backward[:, -1]], 1)


def windows(x: Tensor, size: int) -> Tensor:
    """The values of each window of `size` x `size`, side by side."""
    return x.unfold(2, size, size).unfold(3, size, size).flatten(4)


RECURRENT = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
BATCH_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
IMAGE = (3, 6, 6)
ROW = (5,)

CASES = [
    Case(
        "Linear",
        {"out_features": 4},
        (2, 5),
        lambda x, t: x @ t["weight"].T + t["bias"],
        ("weight", "bias"),
    ),
    Case(
        "Linear",
        {"in_features": 5, "out_features": 4, "bias": False},
        ROW,
        lambda x, t: x @ t["weight"].T,
        ("weight",),
    ),
    Case(
        "Conv2d",
        {"out_channels": 4, "kernel_size": 3, "padding": "same"},
        IMAGE,
        lambda x, t: functional.conv2d(x, t["weight"], t["bias"], padding=1),
        ("weight", "bias"),
    ),
    Case(
        "Conv2d",
        {
            "out_channels": 6,
            "kernel_size": [3, 2],
            "stride": [2, 1],
            "padding": [1, 0],
            "groups": 3,
            "bias": False,
        },
        IMAGE,
        lambda x, t: functional.conv2d(x, t["weight"], None, (2, 1), (1, 0), 1, 3),
        ("weight",),
    ),
    Case("MaxPool2d", {"kernel_size": 2}, IMAGE, lambda x, t: windows(x, 2).amax(-1)),
    Case(
        "AvgPool2d", {"kernel_size": 2, "stride": None}, IMAGE, lambda x, t: windows(x, 2).mean(-1)
    ),
    Case("AdaptiveMaxPool2d", {"output_size": [2, 2]}, IMAGE, lambda x, t: windows(x, 3).amax(-1)),
    Case("AdaptiveAvgPool2d", {"output_size": 1}, IMAGE, lambda x, t: x.mean((2, 3), keepdim=True)),
    Case(
        "BatchNorm1d", {"momentum": None}, (5, 4), lambda x, t: batch_norm(x, t, 1e-5), BATCH_NORM
    ),
    Case("BatchNorm2d", {"eps": 1e-3}, IMAGE, lambda x, t: batch_norm(x, t, 1e-3), BATCH_NORM),
    Case(
        "LayerNorm",
        {},
        (2, 5),
        lambda x, t: norm(x, x.mean(-1, True), x.var(-1, False, keepdim=True), 1e-5) * t["weight"]
        + t["bias"],
        ("weight", "bias"),
    ),
    Case(
        "LayerNorm",
        {"normalized_shape": [2, 5], "elementwise_affine": False},
        (2, 5),
        lambda x, t: norm(x, x.mean((1, 2), True), x.var((1, 2), False, keepdim=True), 1e-5),
    ),
    Case("Dropout", {"p": 0.9, "inplace": True}, ROW, lambda x, t: x),
    Case("Flatten", {}, (2, 3, 4), lambda x, t: x.reshape(len(x), 24)),
    Case("Flatten", {"start_dim": 2}, (2, 3, 4), lambda x, t: x.reshape(len(x), 2, 12)),
    Case("Reshape", {"shape": [4, -1]}, (2, 6), lambda x, t: x.reshape(len(x), 4, 3)),
    Case("Permute", {"dims": [3, 1, 2]}, (2, 3, 4), lambda x, t: torch.einsum("nabc->ncab", x)),
    Case(
        "ZeroPad2d", {"padding": [1, 0, 2, 0]}, IMAGE, lambda x, t: functional.pad(x, (1, 0, 2, 0))
    ),
    Case("ReLU", {"inplace": True}, ROW, lambda x, t: x.clamp(min=0)),
    Case("ReLU6", {}, ROW, lambda x, t: x.clamp(0, 6)),
    Case("LeakyReLU", {"negative_slope": 0.3}, ROW, lambda x, t: torch.where(x > 0, x, 0.3 * x)),
    Case("ELU", {"alpha": 0.5}, ROW, lambda x, t: torch.where(x > 0, x, 0.5 * torch.expm1(x))),
    Case(
        "SELU",
        {},
        ROW,
        lambda x, t: 1.0507009873554805
        * torch.where(x > 0, x, 1.6732632423543772 * torch.expm1(x)),
    ),
    Case("GELU", {}, ROW, lambda x, t: x * (1 + torch.erf(x / 2**0.5)) / 2),
    Case(
        "GELU",
        {"approximate": "tanh"},
        ROW,
        lambda x, t: x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3))) / 2,
    ),
    Case("SiLU", {}, ROW, lambda x, t: x / (1 + torch.exp(-x))),
    Case("Mish", {}, ROW, lambda x, t: x * torch.tanh(torch.log1p(torch.exp(x)))),
    Case("Tanh", {}, ROW, lambda x, t: (1 - torch.exp(-2 * x)) / (1 + torch.exp(-2 * x))),
    Case("Hardtanh", {}, ROW, lambda x, t: x.clamp(-1, 1)),
    Case("Sigmoid", {}, ROW, lambda x, t: 1 / (1 + torch.exp(-x))),
    Case("LogSigmoid", {}, ROW, lambda x, t: -torch.log1p(torch.exp(-x))),
    Case("Hardsigmoid", {}, ROW, lambda x, t: (x / 6 + 0.5).clamp(0, 1)),
    Case("Hardswish", {}, ROW, lambda x, t: x * (x / 6 + 0.5).clamp(0, 1)),
    Case("Softplus", {}, ROW, lambda x, t: torch.log1p(torch.exp(x))),
    Case("Softsign", {}, ROW, lambda x, t: x / (1 + x.abs())),
    Case("Softmax", {}, (2, 5), lambda x, t: torch.exp(x) / torch.exp(x).sum(-1, keepdim=True)),
    Case(
        "Softmax", {"dim": 1}, (2, 5), lambda x, t: torch.exp(x) / torch.exp(x).sum(1, keepdim=True)
    ),
    Case("LogSoftmax", {}, ROW, lambda x, t: x - torch.exp(x).sum(-1, keepdim=True).log()),
    Case(
        "Embedding",
        {"num_embeddings": 7, "embedding_dim": 3, "padding_idx": -1},
        (4,),
        lambda x, t: functional.one_hot(x, 7).float() @ t["weight"],
        ("weight",),
    ),
    Case("LSTM", {"hidden_size": 3}, (6, 4), lambda x, t: lstm(x, t), RECURRENT),
    Case(
        "LSTM",
        {"hidden_size": 3, "bidirectional": True, "output": "last", "dropout": 0.5},
        (6, 4),
        lambda x, t: both_last(lstm, x, t),
        (*RECURRENT, *[f"{name}_reverse" for name in RECURRENT]),
    ),
    Case("GRU", {"hidden_size": 3, "batch_first": True}, (6, 4), lambda x, t: gru(x, t), RECURRENT),
    Case(
        "GRU",
        {"hidden_size": 3, "bidirectional": True, "output": "last"},
        (6, 4),
        lambda x, t: both_last(gru, x, t),
        (*RECURRENT, *[f"{name}_reverse" for name in RECURRENT]),
    ),
    Case("Identity", {}, ROW, lambda x, t: x),
]

MERGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Add": lambda x, y: x + y + x,
    "Subtract": lambda x, y: x - y,
    "Multiply": lambda x, y: x * y * x,
    "Average": lambda x, y: (2 * x + y) / 3,
    "Maximum": lambda x, y: torch.where(x > y, x, y),
    "Minimum": lambda x, y: torch.where(x < y, x, y),
    "Concatenate": lambda x, y: torch.cat([x, y, x], 1),
}


def random_weights(names: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(7)
    return {
        name: np.abs(generator.normal(size=tensor.shape)).astype("float32") + 0.1
        if name.endswith("var")
        else generator.normal(size=tensor.shape).astype("float32")
        if tensor.is_floating_point()
        else np.asarray(3)
        for name, tensor in names.items()
    }


def files_give(
    network: Network, weights: Mapping[str, np.ndarray], inputs: list[Tensor], folder: Path
) -> list[list[np.ndarray]]:
    """The outputs of the module, of its TorchScript file and of its ONNX file."""
    module = network.to_torch(weights)
    export_torchscript(module, folder / "module.pt")
    examples = example_inputs(network, network.input_shapes)
    export_onnx(module, folder / "module.onnx", examples, network.outputs)
    loaded = torch.jit.load(folder / "module.pt")
    session = onnxruntime.InferenceSession(folder / "module.onnx")
    feeds = {name: x.numpy() for name, x in zip(network.inputs, inputs, strict=True)}
    with torch.no_grad():
        given = [run(*inputs) for run in (module, loaded)]
    several = [x if isinstance(x, tuple) else (x,) for x in given]
    return [[x.numpy() for x in each] for each in several] + [session.run(None, feeds)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_layer_is_its_formula_as_a_module_and_in_both_files(case: Case, tmp_path: Path) -> None:
    network = Network(
        ["x"],
        [Node("block.it", case.op, ["x"], case.args), Node("out", "Identity", ["block.it"])],
        ["out"],
        {"x": case.shape},
    )
    tokens = case.op == "Embedding"
    weights = random_weights(network.to_torch().state_dict())
    assert set(weights) == {f"block.it.{name}" for name in case.tensors}
    torch.manual_seed(3)
    x = torch.randint(0, 7, (5, *case.shape)) if tokens else 2 * torch.randn(5, *case.shape)
    own = {name.removeprefix("block.it."): torch.tensor(value) for name, value in weights.items()}
    expected = case.formula(x, own).numpy()
    for (given,) in files_give(network, weights, [x], tmp_path):
        assert_close(given, expected)
    if case.op in torch_layers.RECURRENT:
        graph = onnx.load(tmp_path / "module.onnx").graph
        assert case.op in {node.op_type for node in graph.node}


@pytest.mark.parametrize("op", MERGES)
def test_a_layer_of_several_inputs_is_its_formula(op: str, tmp_path: Path) -> None:
    reads = ["x", "y"] if op == "Subtract" else ["x", "y", "x"]
    network = Network(["x", "y"], [Node("it", op, reads)], ["it"], {"x": (4,), "y": (4,)})
    x, y = torch.randn(3, 4), torch.randn(3, 4)
    for (given,) in files_give(network, {}, [x, y], tmp_path):
        assert_close(given, MERGES[op](x, y).numpy())


def test_every_layer_of_the_engine_is_known_and_tested() -> None:
    source = (ROOT / "native/train/src/graph/layer.rs").read_text()
    table = source[source.index("const KNOWN") :]
    engine = set(re.findall(r'\("(\w+)", ', table[: table.index("];")]))
    known = torch_layers.PLAIN | torch_layers.INFERRED.keys() | torch_layers.FUNCTIONS.keys()
    assert engine <= known
    assert known == {case.op for case in CASES} | MERGES.keys()
