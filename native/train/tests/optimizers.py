"""Steps of PyTorch's optimizers, which the test beside this script compares with Firesteel's.

Reads a JSON list of cases from standard input and writes little-endian f32 to standard output: for
each case its first parameters, then for each step the gradients and the parameters after it.
"""

import json
import sys

import torch

STEPS = 50


def optimizer(spec, parameters):
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


def gradients(kind, shape, step, generator):
    """The gradients of one step, of a given kind."""
    normal = torch.randn(shape, generator=generator)
    match kind:
        case "normal":
            return normal
        case "zero":
            return torch.zeros(shape)
        case "tiny":
            return normal * 1e-20
        case "small":
            return normal * 1e-6
        case "large":
            return normal * 1e4
        case "mixed":
            exponents = torch.arange(normal.numel()).reshape(shape) % 13
            return normal * 10.0 ** (exponents - 10.0)
        case "sparse":
            return torch.where(torch.rand(shape, generator=generator) < 0.8, 0.0, normal)
        case "dying":
            return normal if step < STEPS // 2 else torch.zeros(shape)
        case _:
            raise ValueError(kind)


def write(tensors):
    """Writes tensors one after the other."""
    for tensor in tensors:
        sys.stdout.buffer.write(tensor.detach().numpy().astype("<f4").tobytes())


def main():
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
                parameter.grad = gradients(case["gradients"], parameter.shape, step, generator)
            write(parameter.grad for parameter in parameters)
            stepper.step()
            write(parameters)


if __name__ == "__main__":
    main()
