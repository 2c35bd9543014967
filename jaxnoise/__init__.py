"""Noise regularisation in JAX: would noise help, where, how much, and how sure are we?

Three parts, each of use without the others:

- *Noise* is a pure function of an explicit key, ``(key, x, strength) -> x``. Layers of
  Flax Linen, of Flax NNX in `nnx`, and of Keras in `keras`, which also takes a compiled
  Keras model as it is, make it only in training. Transforms of Optax put it on
  gradients.
- *Training*: a run is a pure function, too. Many runs are few compiled programs, which
  use every core or accelerator, and are paired: those of one seed and split differ in
  the noise alone.
- *Evidence*: paired differences with intervals and a verdict by rule, figures, and a
  report that says what the runs show and no more.

Ten names to know:

- `add_gaussian_noise`: noise on an array. Its kin are `drop_units`, `salt_and_pepper`,
  `flip_labels`, ...; `add_noise` takes any distribution.
- `GaussianNoise`: the same as a layer; `Noise` makes a layer of any noise function.
- `gradient_noise`: noise on gradients, before the learning rate.
- `MLP`: a network with places for noise; `CNN` of `Conv` for images, `RNN` for series.
- `losses` and `metrics`: one value a row; which to take for which task.
- `Recipe`: model, loss, optimiser, metrics and noise of one run.
- `data`: `Data` holds the arrays of a run; tasks that are drawn afresh, such as
  ``data.circles``, real sets, such as ``data.digits``, and ``data.folds`` of your own.
- `sweep`: placements x strengths x seeds x splits; `make_train` makes one run. With
  ``store=`` it loses nothing to a kill, `Store` tells what there is (or a `StoreError`
  why not), and `concat` joins results.
- `compare`: what may be said of them; `select` chooses a strength honestly, and `refit`
  trains it for use.
- `plots`, and `report` for one page of all of it.

With a table and scikit-learn: `NoisyMLPClassifier`, `NoisyMLPRegressor`, and
`NoisyNetClassifier` and `NoisyNetRegressor` for any Flax network, are estimators.
`NoiseSearchCV` is their grid search, and `load` reads what their ``save`` wrote.

Where to go next: ``help(jn.sweep)`` has a whole comparison in twenty lines. On a CPU
call `use_all_cores` first. `describe` tells what the noise in a model does, and
`strip_noise` takes it out for use. `seeds_needed` says how many runs a question takes,
and `sweep_until` finds out; `compare_many` asks several data sets.
`clipped`, `relative` and `snr_db` change a noise; `strength_prior` holds up `Learnable`
strengths; `straight_through` has a clean backward pass; `max_norm` is a rival of noise.
`noise_curve` says what training with noise buys under noise at test time, and
`corruption_panel` what it buys under the `corruptions` of images, series and tables;
`smoothed_predict` asks for the majority over noisy copies, `certify` within which
radius it holds, and `certified_accuracy` for how many rows; `attack` looks for changes
that a network does not stand. `calibration` says whether its probabilities can be
believed, and `predict_averaged` leaves its noise on.
`robustness_report` puts all of that on one page.
The README has a table of all noises, and notebooks go through a case study.

Example:
    >>> import jax, jax.numpy as jnp, jaxnoise as jn
    >>> key, x = jax.random.key(0), jnp.ones((2, 3))
    >>> jn.add_gaussian_noise(key, x, 0.1).shape
    (2, 3)
    >>> layer = jn.GaussianNoise(0.1)
    >>> noisy = layer.apply({}, x, train=True, rngs={"noise": key})
    >>> bool((layer.apply({}, x, train=False) == x).all())
    True
"""

import sys
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from jaxnoise import data as data
from jaxnoise import losses as losses
from jaxnoise import metrics as metrics
from jaxnoise.data import Data as Data
from jaxnoise.evidence.compare import compare as compare
from jaxnoise.evidence.many import compare_many as compare_many
from jaxnoise.evidence.planning import seeds_needed as seeds_needed
from jaxnoise.evidence.select import select as select
from jaxnoise.model import Model as Model
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
from jaxnoise.noise.gradients import max_norm as max_norm
from jaxnoise.noise.gradients import neelakantan_schedule as neelakantan_schedule
from jaxnoise.noise.linen import AlphaDropout as AlphaDropout
from jaxnoise.noise.linen import CorrelatedNoise as CorrelatedNoise
from jaxnoise.noise.linen import Dropout as Dropout
from jaxnoise.noise.linen import GaussianDropout as GaussianDropout
from jaxnoise.noise.linen import GaussianNoise as GaussianNoise
from jaxnoise.noise.linen import NEFTuneNoise as NEFTuneNoise
from jaxnoise.noise.linen import Noise as Noise
from jaxnoise.noise.linen import NoisyDense as NoisyDense
from jaxnoise.noise.linen import SaltAndPepperNoise as SaltAndPepperNoise
from jaxnoise.noise.strengths import Learnable as Learnable
from jaxnoise.noise.strengths import strength_prior as strength_prior
from jaxnoise.noise.wrappers import clipped as clipped
from jaxnoise.noise.wrappers import relative as relative
from jaxnoise.noise.wrappers import snr_db as snr_db
from jaxnoise.noise.wrappers import straight_through as straight_through
from jaxnoise.results import RunResult as RunResult
from jaxnoise.results import SweepResult as SweepResult
from jaxnoise.results import concat as concat
from jaxnoise.store.file import StoreError as StoreError
from jaxnoise.store.store import Store as Store
from jaxnoise.training.devices import use_all_cores as use_all_cores
from jaxnoise.training.recipe import Recipe as Recipe
from jaxnoise.training.run import make_train as make_train
from jaxnoise.training.sweep import refit as refit
from jaxnoise.training.sweep import sweep as sweep
from jaxnoise.until import sweep_until as sweep_until

if TYPE_CHECKING:
    from jaxnoise import keras as keras
    from jaxnoise import nnx as nnx
    from jaxnoise.estimators.mlp import NoisyMLPClassifier as NoisyMLPClassifier
    from jaxnoise.estimators.mlp import NoisyMLPRegressor as NoisyMLPRegressor
    from jaxnoise.estimators.net import NoisyNetClassifier as NoisyNetClassifier
    from jaxnoise.estimators.net import NoisyNetRegressor as NoisyNetRegressor
    from jaxnoise.estimators.saving import load as load
    from jaxnoise.estimators.search import NoiseSearchCV as NoiseSearchCV
    from jaxnoise.evidence.report import report as report
    from jaxnoise.models.describe import describe as describe
    from jaxnoise.models.strip import strip_noise as strip_noise
    from jaxnoise.robustness import corruptions as corruptions
    from jaxnoise.robustness.attack import attack as attack
    from jaxnoise.robustness.averaging import predict_averaged as predict_averaged
    from jaxnoise.robustness.calibration import calibration as calibration
    from jaxnoise.robustness.curve import noise_curve as noise_curve
    from jaxnoise.robustness.panel import corruption_panel as corruption_panel
    from jaxnoise.robustness.report import robustness_report as robustness_report
    from jaxnoise.robustness.smoothing import certified_accuracy as certified_accuracy
    from jaxnoise.robustness.smoothing import certify as certify
    from jaxnoise.robustness.smoothing import smoothed_predict as smoothed_predict

    plots: Any  # as matplotlib's types do not let an axes' figure be saved

_ON_FIRST_USE = {  # what loads matplotlib, Keras, NNX or scikit-learn
    "keras": "jaxnoise.keras:",  # the colon: an ImportError of it comes out as it is
    "NoiseSearchCV": "jaxnoise.estimators.search:NoiseSearchCV",
    "load": "jaxnoise.estimators.saving:load",
    "NoisyMLPClassifier": "jaxnoise.estimators.mlp:NoisyMLPClassifier",
    "NoisyMLPRegressor": "jaxnoise.estimators.mlp:NoisyMLPRegressor",
    "NoisyNetClassifier": "jaxnoise.estimators.net:NoisyNetClassifier",
    "NoisyNetRegressor": "jaxnoise.estimators.net:NoisyNetRegressor",
    "nnx": "jaxnoise.nnx",
    "plots": "jaxnoise.evidence.plots",
    "report": "jaxnoise.evidence.report:report",
    "calibration": "jaxnoise.robustness.calibration:calibration",
    "attack": "jaxnoise.robustness.attack:attack",
    "certify": "jaxnoise.robustness.smoothing:certify",
    "corruption_panel": "jaxnoise.robustness.panel:corruption_panel",
    "corruptions": "jaxnoise.robustness.corruptions",
    "certified_accuracy": "jaxnoise.robustness.smoothing:certified_accuracy",
    "noise_curve": "jaxnoise.robustness.curve:noise_curve",
    "predict_averaged": "jaxnoise.robustness.averaging:predict_averaged",
    "robustness_report": "jaxnoise.robustness.report:robustness_report",
    "smoothed_predict": "jaxnoise.robustness.smoothing:smoothed_predict",
    "describe": "jaxnoise.models.describe:describe",
    "strip_noise": "jaxnoise.models.strip:strip_noise",
}


if not TYPE_CHECKING:  # a type checker would take any name for one of ours

    def __getattr__(name: str) -> Any:
        if name in _ON_FIRST_USE:
            return resolve_name(_ON_FIRST_USE[name])
        raise AttributeError(
            f"module 'jaxnoise' has no attribute {name!r}",
            name=name,
            obj=sys.modules[__name__],  # for Python's "Did you mean"
        )


_ours = {
    name
    for name, value in globals().items()
    if getattr(value, "__module__", "").startswith("jaxnoise.")
}
__all__ = sorted({*_ours, "data", "losses", "metrics", *_ON_FIRST_USE})


def __dir__() -> list[str]:
    return __all__
