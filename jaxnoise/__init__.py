"""Noise regularisation in JAX: would noise help, where, how much, and how sure are we?

*Noise*: `add_gaussian_noise` and the Flax layers `Noise` and `GaussianNoise`, active
only when ``train=True``. *Training*: a `Recipe` brings model, loss, optimiser, metrics
and noise together; `make_train` makes one run a pure function, `sweep` trains
placements x strengths x seeds x splits. *Evidence*: `compare` and `plots`. What recipes
are made of is in `MLP`, `losses`, `metrics` and `data`.
"""

from typing import Any

from jaxnoise import data as data
from jaxnoise import losses as losses
from jaxnoise import metrics as metrics
from jaxnoise.data import Data as Data
from jaxnoise.evidence.stats import compare as compare
from jaxnoise.models import MLP as MLP
from jaxnoise.noise.functions import add_gaussian_noise as add_gaussian_noise
from jaxnoise.noise.linen import GaussianNoise as GaussianNoise
from jaxnoise.noise.linen import Noise as Noise
from jaxnoise.results import RunResult as RunResult
from jaxnoise.results import SweepResult as SweepResult
from jaxnoise.training.devices import use_all_cores as use_all_cores
from jaxnoise.training.recipe import Model as Model
from jaxnoise.training.recipe import Recipe as Recipe
from jaxnoise.training.run import make_train as make_train
from jaxnoise.training.sweep import sweep as sweep


def __getattr__(name: str) -> Any:
    if name == "plots":  # loads matplotlib, on first use
        from jaxnoise.evidence import plots

        return plots
    raise AttributeError(f"module 'jaxnoise' has no attribute {name!r}")
