r"""Does noise help on MNIST-1D? A perceptron, convolutions and a GRU, with paired runs.

    python experiments/mnist1d.py

trains each network without noise, with it at every site and with its rivals, and tells
what each is worth on test rows, at what every draw's validation rows chose. The
published accuracies are for all 4,000 train rows and 6,000 steps:

    python experiments/mnist1d.py --placement none --validation 0 --train-size 4000 \
        --draws 1 --epochs 150 --seeds 3
"""

from collections.abc import Callable
from functools import partial

import _options as o
import _study as study
import flax.linen as nn
from _rivals import noises

import jaxnoise as jn

PLACEMENTS = ("input", "hidden", "activation", "pool", "step", "output")
MODELS: dict[str, Callable[..., nn.Module]] = {
    "mlp": partial(jn.MLP, (100, 100), 10),
    "cnn": partial(jn.CNN, (25, 25, 25), 10, kernel_size=5),
    "gru": partial(jn.RNN, (16,), 10, cell=nn.GRUCell),
}
SITES = {
    "mlp": PLACEMENTS[:3],
    "cnn": PLACEMENTS[:4],
    "gru": ("input", "step", "output"),
}
DROPOUT_AT = {"mlp": "activation", "cnn": "activation", "gru": "output"}
EPOCHS = {"mlp": 40, "cnn": 30, "gru": 60}  # of 5 steps
STUDIES = {
    name: study.Study(
        name=f"mnist1d-{name}",
        data=jn.data.mnist1d,
        recipe=study.network(model, dropout_at=DROPOUT_AT[name], classes=10),
        strengths=noises(SITES[name]),
        epochs=EPOCHS[name],
        batch_size=100,  # of the published networks, as is the learning rate
        train_size=500,
        validation=200,
        main="output" if name == "gru" else "hidden",
        question="Would noise raise the accuracy of this network on MNIST-1D, made-up "
        "series of 40 steps, of which 500 are trained on and 200 choose?",
    )
    for name, model in MODELS.items()
}
main = study.Script(
    "mnist1d.py",
    __doc__,
    STUDIES,
    PLACEMENTS,
    learning_rate=1e-2,
    choice=("model", list(MODELS), "the network"),
    add=study.add_train_size,
)

if __name__ == "__main__":
    o.run(main)
