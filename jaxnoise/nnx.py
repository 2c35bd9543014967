"""The door for Flax NNX: noise layers, and NNX modules as models of a recipe.

``jn.nnx.GaussianNoise(0.1, rngs=rngs)`` and the others are the layers of the same names
in `jaxnoise`; `model` puts an NNX module into a `Recipe`.
"""

from jaxnoise.noise.nnx import AlphaDropout as AlphaDropout
from jaxnoise.noise.nnx import CorrelatedNoise as CorrelatedNoise
from jaxnoise.noise.nnx import Dropout as Dropout
from jaxnoise.noise.nnx import GaussianDropout as GaussianDropout
from jaxnoise.noise.nnx import GaussianNoise as GaussianNoise
from jaxnoise.noise.nnx import NEFTuneNoise as NEFTuneNoise
from jaxnoise.noise.nnx import Noise as Noise
from jaxnoise.noise.nnx import SaltAndPepperNoise as SaltAndPepperNoise
from jaxnoise.noise.nnx_noisy_dense import NoisyDense as NoisyDense
from jaxnoise.training.nnx_model import model as model
