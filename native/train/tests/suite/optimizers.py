"""Steps of PyTorch's optimizers, which the test beside this script compares with Firesteel's.

Reads a JSON list of cases from standard input and writes little-endian f32 to standard output: for
each case its first parameters, then for each step the gradients and the parameters after it.
"""

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

import torch

STEPS = 50


def optimizer(spec: dict[str, Any], parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """The PyTorch optimizer of one of Firesteel's specifications."""
    options = {
        "lr": spec["learningRate"],
        "weight_decay": spec["weightDecay"],
    }
    if "epsilon" in spec:
        options["eps"] = spec["epsilon"]
    if "beta1" in spec:
        options["betas"] = (spec["beta1"], spec["beta2"])
    renamed = {
        "learningRateDecay": "lr_decay",
        "initialAccumulator": "initial_accumulator_value",
        "momentumDecay": "momentum_decay",
    }
    known = {"name", "learningRate", "weightDecay", "epsilon", "beta1", "beta2"}
    for option in spec.keys() - known:
        options[renamed.get(option, option)] = spec[option]
    classes = {
        "sgd": torch.optim.SGD,
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "rmsprop": torch.optim.RMSprop,
        "adagrad": torch.optim.Adagrad,
        "adadelta": torch.optim.Adadelta,
        "adamax": torch.optim.Adamax,
        "nadam": torch.optim.NAdam,
    }
    return classes[spec["name"]](parameters, **options)


def mixed(normal: torch.Tensor) -> torch.Tensor:
    """Magnitudes from 1e-10 to 100, by element."""
    exponents = torch.arange(normal.numel()).reshape(normal.shape) % 13
    return normal * 10.0 ** (exponents - 10.0)


# The kinds of gradients, from normally distributed numbers, as many uniform ones, and the step.
GRADIENTS: dict[str, Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]] = {
    "normal": lambda normal, _uniform, _step: normal,
    "zero": lambda normal, _uniform, _step: torch.zeros_like(normal),
    "tiny": lambda normal, _uniform, _step: normal * 1e-20,
    "small": lambda normal, _uniform, _step: normal * 1e-6,
    "large": lambda normal, _uniform, _step: normal * 1e4,
    "mixed": lambda normal, _uniform, _step: mixed(normal),
    "sparse": lambda normal, uniform, _step: torch.where(uniform < 0.8, 0.0, normal),
    "dying": lambda normal, _uniform, step: normal if step < STEPS // 2 else 0.0 * normal,
}


def write(tensors: Iterable[torch.Tensor]) -> None:
    """Writes tensors one after the other."""
    for tensor in tensors:
        sys.stdout.buffer.write(tensor.detach().numpy().astype("<f4").tobytes())


def main() -> None:
    """Runs every case."""
    torch.set_num_threads(1)
    for case in json.load(sys.stdin):
        generator = torch.Generator().manual_seed(case["seed"])
        shapes = case["shapes"]
        parameters = [
            torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes
        ]
        write(parameters)
        stepper = optimizer(case["optimizer"], parameters)
        for step in range(STEPS):
            for parameter in parameters:
                normal = torch.randn(parameter.shape, generator=generator)
                uniform = torch.rand(parameter.shape, generator=generator)
                parameter.grad = GRADIENTS[case["gradients"]](normal, uniform, step)
            write(parameter.grad for parameter in parameters)
            stepper.step()
            write(parameters)


if __name__ == "__main__":
    main()
