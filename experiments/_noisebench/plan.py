"""What is trained: methods, their candidates, and the programs that these share."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _recipes import NOTHING as ELSE
from _recipes import parts_of
from _rivals import (
    ANY_NOISE,
    ANY_RIVAL,
    BY_LOSS,
    DECAY,
    EARLY,
    NONE,
    Candidate,
)

from _noisebench.network import RATE

FILE = Path(__file__).parents[1] / "noisebench.toml"
PLAN = tomllib.loads(FILE.read_text("utf-8"))
TRAINED = PLAN["noises"] | PLAN["rivals"] | PLAN["both"]
OTHERS = PLAN["others"]
CHECK = PLAN["check"]
CHECKED = "MLPClassifier"  # on its sets alone
TUNED = "learning rate and epochs"
OF_RATES = (TUNED, EARLY, BY_LOSS)  # candidates of runs that differ in learning rate
OF_CLASSES = ("label smoothing", CHECKED)
PROGRAMS = (  # parts that share one; more than noise on units would slow them
    ("none", RATE),
    ("input", "hidden", "activation", "labels", "dropout", DECAY)
    + ("max-norm", "label smoothing", *PLAN["both"]),
    ("weights", "gradients"),
    ("swap", "mixup"),
    ("SAM",),
)
NOTHING = {**ELSE, DECAY: PLAN["protocol"]["weight_decay"]}


def can_have(method: str, name: str, size: int, classes: int) -> bool:
    """Whether a method is for this kind of set; scikit-learn's network is for a few."""
    if method in OF_CLASSES and not classes:
        return False
    checked = name in CHECK["sets"] and size == CHECK["train_size"]
    return method != CHECKED or checked


def cells_of(
    program: Sequence[str], grids: Mapping[str, Sequence[Any]]
) -> dict[str, list[Any]]:
    """The cells of a program, each with all of its parts, most of which do nothing.

    So it is the same program whatever methods are asked for.
    """
    names = [part for part in program if part not in ("none", *PLAN["both"])]
    neutral = {part: NOTHING.get(part, 0.0) for part in names}
    cells = {
        place: [neutral | parts_of(place, strength) for strength in grids[place]]
        for place in program
        if place in grids
    }
    return {"none": [neutral]} | cells if "none" in program else cells


def grids_of(asked: Sequence[str]) -> dict[str, Sequence[Any]]:
    """What is trained for some methods: each place with its strengths."""
    grids = {
        method: TRAINED[method]
        for method in asked
        if method in TRAINED and method not in OF_RATES
    }
    rates = {rate for m in asked if m in OF_RATES for rate in rates_of(m)} - {1.0}
    return {RATE: sorted(rates)} | grids if rates else grids


def rates_of(method: str) -> list[float]:
    """The learning rates of a method's candidates, in their order."""
    return [each[0] if method == TUNED else each for each in TRAINED[method]]


def candidates(asked: Sequence[str]) -> dict[str, list[Candidate]]:
    """By method, what a division chooses from beside the network without any."""

    def at(rate: float, stop: Any) -> Candidate:
        return Candidate(NONE if rate == 1.0 else (RATE, rate), stop)

    found = {}
    for method in asked:
        grid = TRAINED[method]
        if method == TUNED:
            found[method] = [
                at(rate, share if share < 1 else None) for rate, share in grid
            ]
        elif method in OF_RATES:
            found[method] = [at(rate, method) for rate in grid]
        else:
            found[method] = [Candidate((method, strength)) for strength in grid]
    for name, part in {ANY_NOISE: "noises", ANY_RIVAL: "rivals"}.items():
        there = [each for method in PLAN[part] for each in found.get(method, [])]
        if there:
            found[name] = there
    return found
