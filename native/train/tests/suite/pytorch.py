"""PyTorch's results for the networks of the tests beside this script.

Reads a JSON list of cases from standard input and writes a JSON list of results. A case has a
network specification with every size given, a `state_dict`, inputs, and a loss with labels and
weights.
"""

import json
import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

DELTA = 0.7
MERGES = {
    "Add": lambda read: read.sum(0),
    "Subtract": lambda read: read[0] - read[1],
    "Multiply": lambda read: read.prod(0),
    "Average": lambda read: read.mean(0),
    "Maximum": lambda read: read.max(0).values,
    "Minimum": lambda read: read.min(0).values,
}
NOT_MODULES = {*MERGES, "Concatenate", "Reshape", "Permute"}


def tensor(value: dict[str, Any]) -> Tensor:
    """A tensor of the request."""
    kind = torch.int64 if value.get("integer") else torch.float32
    return torch.tensor(value["values"], dtype=kind).reshape(value["shape"])


class Network(nn.Module):
    """A network specification as modules of `torch.nn`."""

    def __init__(self, spec: dict[str, Any], state: list[dict[str, Any]]) -> None:
        super().__init__()
        self.spec = spec
        self.layers: dict[str, nn.Module] = {}
        for node in spec["nodes"]:
            if node["op"] in NOT_MODULES:
                continue
            arguments = {key: value for key, value in node["args"].items() if key != "output"}
            if node["op"] in ("LSTM", "GRU"):
                arguments["batch_first"] = True
            layer = getattr(nn, node["op"])(**arguments)
            prefix = node["name"] + "."
            own = {
                value["name"].removeprefix(prefix): tensor(value)
                for value in state
                if value["name"].startswith(prefix)
            }
            layer.load_state_dict(own)
            assert list(layer.state_dict()) == list(own), (list(layer.state_dict()), list(own))
            self.layers[node["name"]] = layer

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """The value of every input and node."""
        values = dict(inputs)
        for node in self.spec["nodes"]:
            read = [values[name] for name in node["inputs"]]
            arguments = node["args"]
            match node["op"]:
                case op if op in MERGES:
                    value = MERGES[op](torch.stack(read))
                case "Concatenate":
                    value = torch.cat(read, arguments.get("dim", 1))
                case "Reshape":
                    value = read[0].reshape(read[0].shape[0], *arguments["shape"])
                case "Permute":
                    value = read[0].permute(0, *arguments["dims"])
                case "LSTM" | "GRU" as op:
                    sequence, state = self.layers[node["name"]](read[0])
                    hidden = state[0] if op == "LSTM" else state
                    directions = 2 if arguments.get("bidirectional") else 1
                    last = torch.cat(list(hidden[-directions:]), 1)
                    value = last if arguments.get("output") == "last" else sequence
                case _:
                    value = self.layers[node["name"]](read[0])
            values[node["name"]] = value
        return values


def row_losses(name: str, value: Tensor, label: Tensor) -> Tensor:
    """The loss of each row."""
    match name:
        case "kl_div":
            losses = functional.kl_div(functional.log_softmax(value, -1), label, reduction="none")
            return losses.sum(-1)
        case "huber_loss":
            losses = functional.huber_loss(value, label, delta=DELTA, reduction="none")
        case "margin":
            losses = functional.relu(1 - value * label)
        case _:
            losses = getattr(functional, name)(value, label, reduction="none")
    return losses.flatten(1).mean(-1) if losses.dim() > 1 else losses


def class_loss(case: dict[str, Any], name: str, value: Tensor, label: Tensor) -> Tensor:
    """The loss with class weights and label smoothing, by PyTorch's own where it has them."""
    smoothing = case["labelSmoothing"]
    ones = torch.ones(label.shape[0])
    rows = tensor(case["weights"]) if "weights" in case else ones
    if name == "binary_cross_entropy_with_logits":
        classes = label.flatten().long()
        smoothed = label * (1 - smoothing) + smoothing / 2
        if not case["classWeights"]:
            losses = functional.binary_cross_entropy_with_logits(
                value, smoothed, reduction="none"
            ).flatten()
            return (losses * rows).sum() / rows.sum()
        zero, one = case["classWeights"]
        losses = functional.binary_cross_entropy_with_logits(
            value, smoothed, reduction="none", pos_weight=torch.tensor(one / zero)
        ).flatten()
        assert smoothing == 0, "pos_weight weighs the smoothed label's parts, not the row"
        return (losses * zero * rows).sum() / (torch.tensor([zero, one])[classes] * rows).sum()
    weight = torch.tensor(case["classWeights"]) if case["classWeights"] else None
    if label.dtype == torch.int64 and "weights" not in case:
        # On log-probabilities cross-entropy is the likelihood loss, which knows no smoothing.
        return functional.cross_entropy(value, label, weight, label_smoothing=smoothing)
    losses = functional.cross_entropy(
        value, label, weight, label_smoothing=smoothing, reduction="none"
    )
    of_class = rows if weight is None else rows * weight[label]
    return (losses * rows).sum() / of_class.sum()


def numbers(value: Tensor) -> list[float]:
    """The values of a tensor, flat."""
    return value.detach().to(torch.float64).flatten().tolist()


def answer(case: dict[str, Any]) -> dict[str, Any]:
    """PyTorch's results for a case."""
    network = Network(case["network"], case["state"])
    inputs = {name: tensor(value) for name, value in case["inputs"].items()}
    for layer in network.layers.values():
        layer.eval()
    with torch.no_grad():
        evaluated = network(inputs)
    result: dict[str, Any] = {"outputs": [numbers(evaluated[name]) for name in case["values"]]}
    for layer in network.layers.values():
        layer.train()
    trained = network(inputs)
    total = torch.zeros(())
    for term in case["terms"]:
        if "labelSmoothing" in case:
            value, label = trained[term["value"]], tensor(term["label"])
            total = total + class_loss(case, term["loss"], value, label)
            continue
        rows = row_losses(term["loss"], trained[term["value"]], tensor(term["label"]))
        weights = tensor(case["weights"]) if "weights" in case else torch.ones_like(rows)
        total = total + (rows * weights).sum() / weights.sum()
    total.backward()
    result["loss"] = float(total.detach())
    result["state"] = {
        f"{name}.{key}": numbers(value)
        for name, layer in network.layers.items()
        for key, value in layer.named_buffers()
    }
    result["gradient"] = {
        f"{name}.{key}": numbers(value.grad)
        for name, layer in network.layers.items()
        for key, value in layer.named_parameters()
    }
    return result


def main() -> None:
    """Answers every case."""
    torch.set_num_threads(1)
    json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)


if __name__ == "__main__":
    main()
