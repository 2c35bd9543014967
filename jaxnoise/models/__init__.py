"""Models with named noise sites, for binary and multi-class classes and regression.

`MLP` is the network of the case study, `CNN` is for images and series, `RNN` for series
that may differ in length. A field ``<site>_noise`` holds the noise layer of that site,
or None. `Conv` is Flax's convolution, fast in training on a CPU, too.
"""

from jaxnoise.models.cnn import CNN as CNN
from jaxnoise.models.conv import Conv as Conv
from jaxnoise.models.mlp import MLP as MLP
from jaxnoise.models.rnn import RNN as RNN
