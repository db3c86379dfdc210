"""PyTorch's learning rates, clipped gradients and plateaus, for the test beside this script.

Reads a JSON list of cases from standard input and writes a JSON list of lists of numbers.
"""

import json
import sys
from typing import Any

import torch
from torch.optim import SGD, lr_scheduler


def optimizer(rate: float) -> SGD:
    """An optimizer whose learning rate a scheduler changes."""
    return SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)


def scheduler(spec: dict[str, Any], stepper: SGD) -> lr_scheduler.LRScheduler:
    """PyTorch's scheduler of one of Firesteel's schedules."""
    match spec["name"]:
        case "constant":
            return lr_scheduler.ConstantLR(stepper, factor=1.0)
        case "step":
            return lr_scheduler.StepLR(stepper, spec["stepSize"], spec["gamma"])
        case "exponential":
            return lr_scheduler.ExponentialLR(stepper, spec["gamma"])
        case "cosine":
            return lr_scheduler.CosineAnnealingLR(stepper, spec["epochs"], spec["minimum"])
        case "plateau":
            mode = "max" if spec["monitor"] == "accuracy" else "min"
            return lr_scheduler.ReduceLROnPlateau(
                stepper,
                mode,
                factor=spec["factor"],
                patience=spec["patience"],
                threshold=spec["threshold"],
                threshold_mode={"relative": "rel", "absolute": "abs"}[spec["thresholdMode"]],
                cooldown=spec["cooldown"],
                min_lr=spec["minimum"],
                eps=0.0,
            )
    raise ValueError(spec["name"])


def rates(case: dict[str, Any]) -> list[float]:
    """The rate of every mini-batch; the warm-up steps with these, the schedule with epochs."""
    stepper, warm = optimizer(case["base"]), optimizer(1.0)
    schedule = scheduler(case["schedule"], stepper)
    warmup = case["warmup"]
    rise = warmup and lr_scheduler.LinearLR(warm, warmup["startFactor"], 1.0, warmup["steps"])
    found = []
    for epoch in range(case["epochs"]):
        for _ in range(case["batches"]):
            found.append(stepper.param_groups[0]["lr"] * warm.param_groups[0]["lr"])
            warm.step()
            if rise:
                rise.step()
        stepper.step()
        if case["schedule"]["name"] == "plateau":
            schedule.step(case["values"][epoch])
        else:
            schedule.step()
    return found


def clipped(case: dict[str, Any]) -> list[float]:
    """Gradients bounded by value, then by norm."""
    parameters = []
    for gradient in case["gradients"]:
        parameters.append(torch.nn.Parameter(torch.zeros(len(gradient))))
        parameters[-1].grad = torch.tensor(gradient, dtype=torch.float32)
    if case["value"] is not None:
        torch.nn.utils.clip_grad_value_(parameters, case["value"])
    if case["norm"] is not None:
        torch.nn.utils.clip_grad_norm_(parameters, case["norm"])
    return [float(x) for parameter in parameters for x in parameter.grad]


def main() -> None:
    """Answers every case."""
    torch.set_num_threads(1)
    cases = json.load(sys.stdin)
    json.dump([rates(case) if "schedule" in case else clipped(case) for case in cases], sys.stdout)


if __name__ == "__main__":
    main()
