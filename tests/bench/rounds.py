"""Measurements in turn."""

import statistics
import time
from collections.abc import Callable

ROUNDS = 7
# Before a round counts: until then the JVM compiles what runs.
WARM_UP = 5


def medians(*works: Callable[[], object]) -> list[float]:
    """Returns the median seconds of works done in turn."""
    return [statistics.median(of_work[WARM_UP:]) for of_work in taken(WARM_UP + ROUNDS, works)]


def times(rounds: int, *works: Callable[[], object]) -> list[float]:
    """Returns the median seconds of long works done in turn, without a warm-up."""
    return [statistics.median(of_work) for of_work in taken(rounds, works)]


def taken(rounds: int, works: tuple[Callable[[], object], ...]) -> list[list[float]]:
    """The seconds of each round of each work."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, of_work in zip(works, seconds, strict=True):
            start = time.perf_counter()
            work()
            of_work.append(time.perf_counter() - start)
    return seconds


def report(name: str, ours: float, beside: float, aim: str | None = None) -> None:
    """Prints a line."""
    end = "" if aim is None else f" aim {aim}"
    print(
        f"bench {name} ours {ours:.4g} beside {beside:.4g} ratio {ours / beside:.3f}{end}",
        flush=True,
    )
