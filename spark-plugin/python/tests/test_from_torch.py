"""PyTorch modules as networks: compilation, inputs, errors."""

from __future__ import annotations

import doctest
import io
import sys

import firesteel
import numpy as np
import pytest
import torch
from firesteel import Network, TorchScriptNetwork, from_torch
from firesteel.layers import Linear, ReLU
from firesteel.torch_export import to_module
from torch import Tensor, nn
from torch.nn import functional


def loaded(network: TorchScriptNetwork) -> torch.jit.ScriptModule:
    return torch.jit.load(io.BytesIO(network.module))


class Scripted(nn.Module):
    """A module that branches on values, which only scripting keeps; two inputs, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(10, 3)
        self.out = nn.Linear(5, 2)
        self.drop = nn.Dropout(0.5)

    def forward(
        self, ids: Tensor, dense: Tensor, extra: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        words = self.words(ids).mean(1)
        if bool(dense.sum() < 0):
            dense = -dense
        logits = self.out(self.drop(torch.cat([words, dense], 1)))
        return logits, words


class Symbolic(nn.Module):
    """A module with settings and ``**unused``, which TorchScript lacks; its layers have a mode."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = {"depth": 2, "name": "small"}
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)])

    def forward(self, x: Tensor, **unused: object) -> Tensor:
        for _ in range(self.settings["depth"]):
            for layer in self.layers:
                x = layer(x)
        return x


class Traced(nn.Module):
    """A module that converts tensors to numbers, which only a trace with examples supports."""

    def __init__(self, dropout: float = 0.0, rows: int | None = None) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.settings = {"dropout": dropout, "rows": rows, "name": "small"}

    def forward(self, x: Tensor) -> Tensor:
        width = sum(1 for _ in x[0])
        rows = self.settings["rows"] or -1
        if self.settings["dropout"]:
            x = functional.dropout(x, self.settings["dropout"], self.training)
        return self.layer(x.reshape(rows, width))


def test_a_module_is_scripted_with_its_names_and_weights() -> None:
    module = Scripted()
    network = from_torch(module, input_types=["int64", "float32"], output_names=["logits", "words"])
    assert network.inputs == ("ids", "dense")
    assert dict(network.input_types) == {"ids": "int64", "dense": "float32"}
    assert network.outputs == ("logits", "words")
    assert not network.input_shapes
    given = loaded(network)
    assert all(torch.equal(given.state_dict()[n], t) for n, t in module.state_dict().items())
    ids, dense = torch.randint(0, 10, (6, 4)), -torch.rand(6, 2)
    torch.testing.assert_close(given.eval()(ids, dense), module.eval()(ids, dense))
    assert not torch.equal(given.train()(ids, dense)[0], given(ids, dense)[0])
    assert TorchScriptNetwork.from_json(network.to_json()) == network


def test_the_example_of_the_documentation_runs() -> None:
    module = sys.modules[from_torch.__module__]
    assert doctest.testmod(module) == doctest.TestResults(failed=0, attempted=4)


def test_examples_give_types_and_shapes_of_rows() -> None:
    examples = (torch.zeros(2, 4, dtype=torch.int32), torch.zeros(2, 2))
    network = from_torch(Scripted(), examples, input_names=["tokens", "numbers"])
    assert dict(network.input_types) == {"tokens": "int64", "numbers": "float32"}
    assert dict(network.input_shapes) == {"tokens": (4,), "numbers": (2,)}
    assert network.outputs == ("output0", "output1")
    # A branch on values would be lost in a trace.
    ids, dense = torch.zeros(2, 4, dtype=torch.int64), torch.ones(2, 2)
    module = loaded(network).eval()
    torch.testing.assert_close(module(ids, dense), module(ids, -dense))


def test_a_module_that_cannot_be_scripted_is_traced_symbolically_and_keeps_its_modes() -> None:
    module = Symbolic()
    network = from_torch(module)
    assert network.inputs == ("x",)
    given, x = loaded(network), torch.randn(16, 4)
    assert given.state_dict().keys() == module.state_dict().keys()
    torch.testing.assert_close(given.eval()(x), module.eval()(x))
    given.train()
    assert not torch.equal(given(x), given(x))
    assert given.state_dict()["layers.1.num_batches_tracked"] == 4
    assert module.state_dict()["layers.1.num_batches_tracked"] == 0


def test_a_module_that_needs_examples_says_so_and_is_traced_with_them() -> None:
    module = Traced()
    with pytest.raises(ValueError, match=r"Traced cannot be turned .* give example_inputs"):
        from_torch(module)
    given = loaded(from_torch(module, torch.ones(3, 4)))
    x = torch.randn(7, 4)
    torch.testing.assert_close(given(x), module(x))


def test_a_trace_that_would_lose_the_mode_or_the_rows_is_refused() -> None:
    with pytest.raises(
        ValueError, match="cannot be traced: it computes something else in training"
    ):
        from_torch(Traced(dropout=0.5), torch.ones(3, 4))
    with pytest.raises(
        ValueError, match="cannot be traced: its trace only takes batches of 3 rows"
    ):
        from_torch(Traced(rows=3), torch.ones(3, 4))


def test_a_script_module_is_taken_as_it_is() -> None:
    module = torch.jit.script(nn.Linear(3, 2))
    network = from_torch(module, input_names=["features"])
    assert network.inputs == ("features",)
    assert torch.equal(loaded(network).weight, module.weight)


def test_a_module_is_left_as_it_was() -> None:
    module = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5), Traced()).train()
    module[0].eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    from_torch(nn.Sequential(module[0]), torch.ones(4, 3))
    assert [part.training for part in module] == [False, True, True]
    assert all(torch.equal(module.state_dict()[name], tensor) for name, tensor in before.items())


class Listed(nn.Module):
    def forward(self, xs: list[Tensor]) -> Tensor:
        return xs[0]


class Named(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"y": x}


@pytest.mark.parametrize(
    ("module", "options", "problem"),
    [
        (nn.Linear(2, 2).double(), {}, "tensor 'weight' is float64, not float32"),
        (nn.Linear(2, 2).half(), {}, "tensor 'weight' is float16"),
        (nn.LazyLinear(3), {}, "parameter 'weight' has no shape yet"),
        (Scripted(), {}, "has an Embedding, 'words': set input_types"),
        (Listed(), {}, r"input 'xs' is a List\[Tensor\]; inputs are tensors"),
        (Named(), {}, r"returns a Dict\[str, Tensor\]"),
        (nn.Linear(2, 2), {"input_types": ["int8"]}, "'int8' of input 'input'"),
        (nn.Linear(2, 2), {"output_names": ["a", "b"]}, "names 2 outputs; the module returns 1"),
        (
            nn.Linear(2, 2),
            {"input_names": ["a", "b"]},
            "input_names are for 2 inputs; .* takes input",
        ),
        (
            Scripted(),
            {"input_types": ["int64", "float32"], "input_names": ["a", "b", "c"]},
            "input_names are for 3 inputs; .* and input_types are for 2",
        ),
        (
            nn.Linear(2, 2),
            {"example_inputs": torch.ones(2)},
            r"example_inputs\[0\] must be a tensor",
        ),
    ],
)
def test_what_the_engine_does_not_take_is_named(
    module: nn.Module, options: dict[str, object], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        from_torch(module, **options)


def test_a_network_gives_its_module_back_with_other_weights() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    network = from_torch(module)
    back = network.to_torch()
    assert not back.training
    assert all(torch.equal(back.state_dict()[n], t) for n, t in module.state_dict().items())
    weights = {name: (tensor + 1).numpy() for name, tensor in module.state_dict().items()}
    other = network.to_torch(weights)
    module.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    x = torch.randn(5, 3)
    torch.testing.assert_close(other(x), module.eval()(x))
    with pytest.raises(ValueError, match="logits and scale do not apply to a TorchScript module"):
        network.to_torch(logits=True)


class Tied(nn.Module):
    """Two layers with one weight, a mask of minus infinities and a boolean mask."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.register_buffer("mask", torch.full((3, 3), -torch.inf).triu(1))
        self.register_buffer("kept", torch.tensor([True, False, True]))

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(torch.relu(self.first(x)))
        return (x.unsqueeze(1) + self.mask).softmax(-1).mean(1) * self.kept


def test_shared_tensors_and_constants_need_not_be_among_the_weights() -> None:
    module = Tied()
    network = from_torch(module)
    # As the engine has them: each tensor once, no constant, whole numbers for truth values.
    weights = {
        "first.weight": np.ones((3, 3), np.float32),
        "first.bias": np.ones(3, np.float32),
        "second.bias": np.zeros(3, np.float32),
        "kept": np.array([0, 1, 1]),
    }
    back = network.to_torch(weights)
    module.load_state_dict(
        {name: torch.tensor(value) for name, value in weights.items()}, strict=False
    )
    x = torch.randn(4, 3)
    torch.testing.assert_close(back(x), module(x))
    assert torch.equal(back.state_dict()["second.weight"], torch.ones(3, 3))
    with pytest.raises(ValueError, match=r"the weights lack the network's tensor 'second\.bias'"):
        network.to_torch({n: w for n, w in weights.items() if n != "second.bias"})


def test_an_ensemble_of_a_module_gives_the_mean() -> None:
    module = nn.Linear(3, 2)
    members = [
        {n: t.detach().numpy() + i for n, t in module.state_dict().items()} for i in range(3)
    ]
    weights = {f"member.{i}.{n}": w for i, member in enumerate(members) for n, w in member.items()}
    network = from_torch(module, torch.ones(1, 3))
    x = torch.randn(4, 3)
    each = torch.stack([network.to_torch(member)(x) for member in members])
    whole = to_module(network, weights, network.input_shapes)
    assert whole.state_dict().keys() == weights.keys()
    torch.testing.assert_close(whole(x), each.mean(0))
    classes = to_module(network, weights, network.input_shapes, classes=True)
    torch.testing.assert_close(classes(x), each.softmax(-1).mean(0).log())


def test_layers_and_modules_of_the_same_weights_agree() -> None:
    layers = Network.sequential(Linear(4), ReLU(), Linear(2)).with_input_shape(3)
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    weights = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    x = torch.randn(5, 3)
    torch.testing.assert_close(layers.to_torch(weights)(x), from_torch(module).to_torch()(x))


def test_without_pytorch_what_needs_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("firesteel.torch_import", "firesteel.torch_export"):
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"from_torch needs PyTorch: .*firesteel\[torch\]"):
        getattr(firesteel, "from_torch")  # noqa: B009, the import is what is tested
    with pytest.raises(ImportError, match=r"needs PyTorch: pip install 'firesteel\[torch\]'"):
        Network.sequential(Linear(2)).to_torch()
    with pytest.raises(AttributeError, match="'firesteel' has no attribute 'from_torches'"):
        getattr(firesteel, "from_torches")  # noqa: B009
