"""The door for Flax NNX: noise layers, and NNX modules as models of a recipe.

``jn.nnx.GaussianNoise(0.1, rngs=rngs)`` and the others are the layers of the same names
in `jaxnoise`; `model` puts an NNX module into a `Recipe`.

A layer is active unless its ``deterministic`` is True, which ``model.train()``,
``model.eval()`` and ``nnx.view(model, deterministic=...)`` set; ``train=`` at the call
wins. Keys come from the stream ``"noise"`` of the `nnx.Rngs` that the constructor gets.
As everywhere in NNX a default stream, ``nnx.Rngs(0)``, stands in for one that is not
named: then a noise layer also changes the keys, and so the weights, of layers that are
made after it, which ``nnx.Rngs(0, noise=1)`` avoids. No stream at all is an error at
the first noisy call. A strength is an `nnx.Variable`: another value compiles nothing,
``layer.stddev[...] = 0.2``.

Under `nnx.vmap` and `nnx.scan` split the streams, all of them, by ``nnx.split_rngs``: a
key that rows would share is an error, but where nothing about the layer and its x is
mapped, such as noise on the inputs that an ensemble shares, nobody can tell. To share
one on purpose give it to the call, ``layer(x, rngs=key)``, or, where a module of your
own has no place for that, to the whole of it: a vmapped axis may share the key of
``jn.nnx.model(lambda rngs: Net(rngs=rngs)).apply(variables, x, train=True, key=key)``.

What NNX does with all state holds for noise: a plain ``jax.jit(lambda m, x: m(x))``
gets the module by value, stream and all, and repeats its noise at every call, as that
of `nnx.Dropout`; `nnx.jit` moves the stream on. Noise before an `nnx.BatchNorm` enters
its running variance, by which the clean pass then divides. Strengths and the steps of
schedules are variables of types of their own, `NoiseStrength` and `NoiseStep`, for
filters. A checkpoint of ``nnx.state(model)`` holds them, and restoring it restores the
strength, too; ``nnx.state(model, nnx.Not(jn.nnx.NoiseStrength))`` leaves it out.
"""

from jaxnoise.noise.nnx import AlphaDropout as AlphaDropout
from jaxnoise.noise.nnx import CorrelatedNoise as CorrelatedNoise
from jaxnoise.noise.nnx import Dropout as Dropout
from jaxnoise.noise.nnx import GaussianDropout as GaussianDropout
from jaxnoise.noise.nnx import GaussianNoise as GaussianNoise
from jaxnoise.noise.nnx import NEFTuneNoise as NEFTuneNoise
from jaxnoise.noise.nnx import Noise as Noise
from jaxnoise.noise.nnx import SaltAndPepperNoise as SaltAndPepperNoise
from jaxnoise.noise.nnx_base import NoiseStep as NoiseStep
from jaxnoise.noise.nnx_base import NoiseStrength as NoiseStrength
from jaxnoise.noise.nnx_noisy_dense import NoisyDense as NoisyDense
from jaxnoise.training.nnx_model import model as model

__all__ = [  # what help() lists
    "AlphaDropout",
    "CorrelatedNoise",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "NEFTuneNoise",
    "Noise",
    "NoiseStep",
    "NoiseStrength",
    "NoisyDense",
    "SaltAndPepperNoise",
    "model",
]
