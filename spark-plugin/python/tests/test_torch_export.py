"""Networks of layers as PyTorch modules: names, shapes, outputs, ensembles, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from closeness import assert_close
from firesteel import Network
from firesteel.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Embedding,
    Flatten,
    Linear,
    ReLU,
    Residual,
    Sigmoid,
    Softmax,
)
from firesteel.network import Node
from firesteel.torch_export import example_inputs, export_onnx, export_torchscript, to_module

MLP = Network.sequential(Linear(4), ReLU(), Linear(3), Softmax()).with_input_shape(5)


def trained(network: Network, seed: int) -> dict[str, np.ndarray]:
    """Weights that differ from the initial ones."""
    generator = np.random.default_rng(seed)
    return {
        name: generator.uniform(0.1, 1, tensor.shape).astype(tensor.numpy().dtype)
        for name, tensor in network.to_torch().state_dict().items()
    }


def test_a_network_without_weights_starts_as_pytorch_initialises_its_layers() -> None:
    torch.manual_seed(1)
    ours = MLP.to_torch().state_dict()
    torch.manual_seed(1)
    theirs = torch.nn.Sequential(
        torch.nn.Linear(5, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3)
    ).state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_weights_of_the_network_are_those_of_the_module() -> None:
    weights = trained(MLP, 1)
    module = MLP.with_weights(weights).to_torch()
    assert not module.training
    state = module.state_dict()
    assert state.keys() == weights.keys()
    assert all(np.array_equal(state[name].numpy(), weights[name]) for name in weights)
    state["0.weight"].zero_()
    assert weights["0.weight"].all()


def test_a_residual_has_the_names_of_the_engine_and_trains() -> None:
    network = Network.sequential(
        Conv2d(4, 3, padding="same"),
        Residual(
            BatchNorm2d(), ReLU(), Conv2d(6, 3, padding=1), shortcut=(Conv2d(6, 1, bias=False),)
        ),
        AvgPool2d(8),
        Flatten(),
        Linear(2),
    ).with_input_shape(3, 8, 8)
    module = network.to_torch()
    assert set(module.state_dict()) == {
        *["0.weight", "0.bias"],
        *[f"1.0.{name}" for name in ("weight", "bias", "running_mean", "running_var")],
        *["1.0.num_batches_tracked", "1.2.weight", "1.2.bias", "1.shortcut.0.weight"],
        *["4.weight", "4.bias"],
    }
    module.train()(torch.randn(7, 3, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    assert module.get_buffer("1.0.num_batches_tracked") == 1


def test_a_softmax_or_sigmoid_at_the_end_is_left_out_of_logits() -> None:
    network = Network(
        ["x"],
        [
            Node("body", "Linear", ["x"], {"out_features": 4}),
            Node("class", "Softmax", ["body"], {"dim": 1}),
            Node("share", "Sigmoid", ["body"]),
            Node("gate", "Sigmoid", ["body"]),
            Node("gated", "Multiply", ["body", "gate"]),
        ],
        ["class", "share", "gate", "gated"],
        {"x": (3,)},
    )
    weights = trained(network, 2)
    x = torch.randn(6, 3)
    body = x @ torch.tensor(weights["body.weight"]).T + torch.tensor(weights["body.bias"])
    gate = torch.sigmoid(body)
    for logits, expected in (
        (False, [torch.softmax(body, 1), gate, gate, body * gate]),
        # A layer reads the gate, so that it is no end of the network.
        (True, [body, body, gate, body * gate]),
    ):
        given = network.to_torch(weights, logits=logits)(x)
        for one, other in zip(given, expected, strict=True):
            torch.testing.assert_close(one, other)


def test_a_scale_multiplies_values_and_leaves_token_ids_alone() -> None:
    network = Network(
        ["ids", "pixels"],
        [
            Node("flat", "Flatten", ["ids"]),
            Node("words", "Embedding", ["flat"], {"num_embeddings": 9, "embedding_dim": 2}),
            Node("sentence", "Flatten", ["words"]),
            Node("both", "Concatenate", ["sentence", "pixels"]),
            Node("out", "Linear", ["both"], {"out_features": 2}),
        ],
        ["out"],
        {"ids": (2, 2), "pixels": (4,)},
    )
    weights = trained(network, 3)
    ids, pixels = torch.tensor([[[8, 0], [1, 8]]] * 3), torch.rand(3, 4) * 255
    torch.testing.assert_close(
        network.to_torch(weights, scale=1 / 255)(ids, pixels),
        network.to_torch(weights)(ids, pixels / 255),
    )


def test_each_input_may_have_its_scale() -> None:
    network = Network(
        ["ids", "pixels", "wide"],
        [
            Node("words", "Embedding", ["ids"], {"num_embeddings": 9, "embedding_dim": 2}),
            Node("sentence", "Flatten", ["words"]),
            Node("all", "Concatenate", ["sentence", "pixels", "wide"]),
            Node("out", "Linear", ["all"], {"out_features": 2}),
        ],
        ["out"],
        {"ids": (2,), "pixels": (4,), "wide": (3,)},
    )
    weights = trained(network, 3)
    ids, pixels, wide = torch.tensor([[8, 0]] * 3), torch.rand(3, 4) * 255, torch.rand(3, 3)
    expected = network.to_torch(weights)(ids, pixels / 255, wide * 0.01)
    scales = {"ids": 1.0, "pixels": 1 / 255, "wide": 0.01}
    torch.testing.assert_close(network.to_torch(weights, scale=scales)(ids, pixels, wide), expected)
    given = network.to_torch(weights, scale={"wide": 0.01})(ids, pixels / 255, wide)
    torch.testing.assert_close(given, expected)
    with pytest.raises(ValueError, match="input 'bytes'; the network has ids, pixels, wide"):
        network.to_torch(weights, scale={"bytes": 0.5})
    with pytest.raises(ValueError, match=r"scale has 0\.5 for the input 'ids', .* token ids"):
        network.to_torch(weights, scale={"ids": 0.5})


@pytest.mark.parametrize("ending", ["Softmax", "Sigmoid", "Identity"])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("classes", [True, False])
def test_an_ensemble_gives_the_mean_over_its_members(
    ending: str, outputs: int, classes: bool, tmp_path: Path
) -> None:
    network = Network(
        ["x"],
        [Node("0", "Linear", ["x"], {"out_features": outputs}), Node("1", ending, ["0"])],
        ["1"],
        {"x": (5,)},
    )
    members = [trained(network, seed) for seed in range(3)]
    weights = {f"member.{i}.{n}": w for i, member in enumerate(members) for n, w in member.items()}
    x = torch.randn(4, 5)
    values = torch.stack([network.to_torch(member, logits=True)(x) for member in members]).double()
    softmax = ending == "Softmax" or (classes and ending == "Identity" and outputs > 1)
    sigmoid = ending == "Sigmoid" or (classes and ending == "Identity" and outputs == 1)
    if softmax:
        mean = values.softmax(-1).mean(0)
        raw = mean.log()
    elif sigmoid:
        mean = values.sigmoid().mean(0)
        raw = (mean / (1 - mean)).log()
    else:
        mean = raw = values.mean(0)
    whole = to_module(network, weights, network.input_shapes, classes=classes)
    assert whole.state_dict().keys() == weights.keys()
    expected = raw if ending == "Identity" else mean
    assert_close(whole(x).detach(), expected.detach())
    given = to_module(network, weights, network.input_shapes, classes=classes, logits=True)
    assert_close(given(x).detach(), raw.detach())
    export_torchscript(whole, tmp_path / "ensemble.pt")
    torch.testing.assert_close(torch.jit.load(tmp_path / "ensemble.pt")(x), whole(x))
    examples = example_inputs(network, network.input_shapes)
    export_onnx(whole, tmp_path / "ensemble.onnx", examples, network.outputs)
    session = onnxruntime.InferenceSession(tmp_path / "ensemble.onnx")
    (answer,) = session.run(None, {"x": x.numpy()})
    assert_close(answer, whole(x).detach().numpy())


def test_an_onnx_file_has_the_names_of_inputs_and_outputs_and_any_number_of_rows(
    tmp_path: Path,
) -> None:
    network = Network(
        ["token ids"],
        [
            Node("words", "Embedding", ["token ids"], {"num_embeddings": 9, "embedding_dim": 2}),
            Node("all", "Flatten", ["words"]),
            Node("a", "Linear", ["all"], {"out_features": 2}),
            Node("b", "Linear", ["all"], {"out_features": 3}),
        ],
        ["b", "a"],
        {"token ids": (4,)},
    )
    path = tmp_path / "two.onnx"
    examples = example_inputs(network, network.input_shapes)
    export_onnx(network.to_torch(), path, examples, network.outputs, opset_version=18)
    session = onnxruntime.InferenceSession(path)
    inputs = [(value.name, value.shape, value.type) for value in session.get_inputs()]
    assert inputs == [("token ids", ["rows", 4], "tensor(int64)")]
    outputs = [(value.name, value.shape) for value in session.get_outputs()]
    assert outputs == [("b", ["rows", 3]), ("a", ["rows", 2])]
    for rows in (1, 300):
        b, a = session.run(None, {"token ids": np.zeros((rows, 4), np.int64)})
        assert (b.shape, a.shape) == ((rows, 3), (rows, 2))


def test_weights_of_another_network_are_refused_by_the_tensor() -> None:
    weights = trained(MLP, 1)
    extra = {**weights, "4.weight": weights["0.weight"]}
    with pytest.raises(ValueError, match=r"the weights hold a tensor '4\.weight'"):
        MLP.to_torch(extra)
    other = {**weights, "2.bias": np.zeros(4, np.float32)}
    with pytest.raises(ValueError, match=r"tensor '2\.bias'.*shape \[4\].*needs \[3\]"):
        MLP.to_torch(other)
    del weights["2.bias"]
    with pytest.raises(ValueError, match=r"the weights lack the network's tensor '2\.bias'"):
        MLP.to_torch(weights)


def test_a_network_whose_input_shape_is_unknown_says_which() -> None:
    with pytest.raises(ValueError, match="shape of the network's input 'features' is not known"):
        Network.sequential(Linear(2)).to_torch()


def test_a_layer_that_does_not_fit_is_named() -> None:
    convolution = Network.sequential(Conv2d(4, 7)).with_input_shape(1, 5, 5)
    with pytest.raises(ValueError, match=r"^layer '0' \(Conv2d\): .*[Kk]ernel size"):
        convolution.to_torch()
    unknown = Network(["x"], [Node("far", "Hyperbolic", ["x"])], ["far"], {"x": (2,)})
    with pytest.raises(ValueError, match=r"^layer 'far' \(Hyperbolic\): unknown layer type"):
        unknown.to_torch()
    argument = Network(["x"], [Node("a", "Linear", ["x"], {"size": 2})], ["a"], {"x": (2,)})
    with pytest.raises(ValueError, match=r"^layer 'a' \(Linear\): .*'size'"):
        argument.to_torch()


def test_a_layer_whose_name_a_module_cannot_have_is_named() -> None:
    for name in ("forward", "block..norm", "a.training"):
        network = Network(["x"], [Node(name, "ReLU", ["x"])], [name], {"x": (2,)})
        with pytest.raises(ValueError, match=f"'{name}'.*rename the layer"):
            network.to_torch()


def test_what_onnx_has_no_operator_for_is_said(tmp_path: Path) -> None:
    pool = Node("pool", "AdaptiveAvgPool2d", ["x"], {"output_size": 3})
    network = Network(["x"], [pool], ["pool"], {"x": (1, 5, 5)})
    examples = example_inputs(network, network.input_shapes)
    with pytest.raises(ValueError, match=r"cannot be written as ONNX: .*daptive"):
        export_onnx(network.to_torch(), tmp_path / "no.onnx", examples, network.outputs)
    assert not (tmp_path / "no.onnx").exists()


def test_layers_of_binary_classes_and_embeddings_are_as_in_pytorch() -> None:
    network = Network.sequential(Embedding(11, 3), Flatten(), Linear(1), Sigmoid())
    module = network.with_input_shape(4).to_torch()
    reference = torch.nn.Sequential(
        torch.nn.Embedding(11, 3), torch.nn.Flatten(), torch.nn.Linear(12, 1), torch.nn.Sigmoid()
    )
    reference.load_state_dict(module.state_dict())
    ids = torch.randint(0, 11, (8, 4))
    torch.testing.assert_close(module(ids), reference(ids))
