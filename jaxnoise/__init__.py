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
call `use_all_cores` first, and anywhere `use_cache`, which keeps compiled programs.
`describe` tells what the noise in a model does, and `strip_noise` takes it out for use.
`seeds_needed` says how many runs a question takes, and `sweep_until` finds out;
`compare_many` asks several data sets.
`clipped`, `relative` and `snr_db` change a noise; `strength_prior` holds up `Learnable`
strengths; `straight_through` has a clean backward pass; `max_norm` is a rival of noise.
`noise_curve` says what training with noise buys under noise at test time, and
`corruption_panel` what it buys under the `corruptions` of images, series and tables;
`smoothed_predict` asks for the majority over noisy copies, `certify` within which
radius it holds, and `certified_accuracy` for how many rows; `attack` looks for changes
that a network does not stand. `calibration` says whether its probabilities can be
believed, and `predict_averaged` leaves its noise on.
`robustness_report` puts all of that on one page.
Names from elsewhere: stochastic depth is `DropPath`; cutout, random erasing,
SpecAugment and DropBlock are settings of `block_mask`; spatial dropout is `Dropout`
with ``shared_axes=(1, 2)``; Anti-PGD is `anticorrelated_noise`, and SGLD
`langevin_noise`; `mixup` goes into ``Recipe(batch_noise=)``, manifold mixup is the
layer `Mixup` or ``batch_sites=``, and R-Drop is ``Recipe(consistency=)``. Random weight
perturbation is ``Recipe(weight_noise=)``; for SAM a recipe takes ``optax.contrib.sam``.
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
from typing import Any

import lazy_loader

_attribute, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name in __all__:
        return _attribute(name)
    raise AttributeError(
        f"module 'jaxnoise' has no attribute {name!r}",
        name=name,
        obj=sys.modules[__name__],  # for Python's "Did you mean"
    )
