"""Noise regularisation in JAX: would noise help, where, how much, and how sure are we?

*Noise*: functions such as `add_gaussian_noise`, Flax layers such as `GaussianNoise`,
active only when ``train=True``, and `gradient_noise` for Optax. *Training*: a `Recipe`
brings model, loss, optimiser, metrics and noise together; `make_train` makes one run a
pure function, `sweep` trains placements x strengths x seeds x splits. *Evidence*:
`compare`, `select`, `seeds_needed`, `plots` and `report`. What recipes are made of is
in `MLP`, `losses`, `metrics` and `data`.
"""

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from jaxnoise import data as data
from jaxnoise import losses as losses
from jaxnoise import metrics as metrics
from jaxnoise.autodiff import straight_through as straight_through
from jaxnoise.constraints import max_norm as max_norm
from jaxnoise.data import Data as Data
from jaxnoise.evidence.choosing import select as select
from jaxnoise.evidence.planning import seeds_needed as seeds_needed
from jaxnoise.evidence.stats import compare as compare
from jaxnoise.models import CNN as CNN
from jaxnoise.models import MLP as MLP
from jaxnoise.models import RNN as RNN
from jaxnoise.models import Conv as Conv
from jaxnoise.noise.functions import add_correlated_noise as add_correlated_noise
from jaxnoise.noise.functions import add_gaussian_noise as add_gaussian_noise
from jaxnoise.noise.functions import add_noise as add_noise
from jaxnoise.noise.functions import alpha_dropout as alpha_dropout
from jaxnoise.noise.functions import drop_units as drop_units
from jaxnoise.noise.functions import flip_labels as flip_labels
from jaxnoise.noise.functions import multiply_gaussian_noise as multiply_gaussian_noise
from jaxnoise.noise.functions import neftune_noise as neftune_noise
from jaxnoise.noise.functions import salt_and_pepper as salt_and_pepper
from jaxnoise.noise.functions import tree_add_gaussian_noise as tree_add_gaussian_noise
from jaxnoise.noise.gradients import gradient_noise as gradient_noise
from jaxnoise.noise.gradients import neelakantan_schedule as neelakantan_schedule
from jaxnoise.noise.linen import AlphaDropout as AlphaDropout
from jaxnoise.noise.linen import CorrelatedNoise as CorrelatedNoise
from jaxnoise.noise.linen import Dropout as Dropout
from jaxnoise.noise.linen import GaussianDropout as GaussianDropout
from jaxnoise.noise.linen import GaussianNoise as GaussianNoise
from jaxnoise.noise.linen import NEFTuneNoise as NEFTuneNoise
from jaxnoise.noise.linen import Noise as Noise
from jaxnoise.noise.linen import SaltAndPepperNoise as SaltAndPepperNoise
from jaxnoise.noise.noisy_dense import NoisyDense as NoisyDense
from jaxnoise.noise.strengths import Learnable as Learnable
from jaxnoise.noise.strengths import strength_prior as strength_prior
from jaxnoise.noise.wrappers import clipped as clipped
from jaxnoise.noise.wrappers import relative as relative
from jaxnoise.noise.wrappers import snr_db as snr_db
from jaxnoise.results import RunResult as RunResult
from jaxnoise.results import SweepResult as SweepResult
from jaxnoise.training.devices import use_all_cores as use_all_cores
from jaxnoise.training.recipe import Model as Model
from jaxnoise.training.recipe import Recipe as Recipe
from jaxnoise.training.run import make_train as make_train
from jaxnoise.training.sweep import sweep as sweep

if TYPE_CHECKING:
    from jaxnoise import nnx as nnx
    from jaxnoise.evidence.report import report as report
    from jaxnoise.inspection import describe as describe
    from jaxnoise.stripping import strip_noise as strip_noise

_ON_FIRST_USE = {  # what loads matplotlib or Flax NNX, which not everyone needs
    "nnx": "jaxnoise.nnx",
    "plots": "jaxnoise.evidence.plots",
    "report": "jaxnoise.evidence.report:report",
    "describe": "jaxnoise.inspection:describe",
    "strip_noise": "jaxnoise.stripping:strip_noise",
}


def __getattr__(name: str) -> Any:
    if name in _ON_FIRST_USE:
        return resolve_name(_ON_FIRST_USE[name])
    raise AttributeError(f"module 'jaxnoise' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_FIRST_USE})
