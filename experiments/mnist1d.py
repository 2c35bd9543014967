"""Does noise help on MNIST-1D? A perceptron, convolutions and a GRU, with paired runs.

    python experiments/mnist1d.py

trains each network without noise and with it at every site, on the same seeds, and
tells what each placement is worth on test rows, at the strength that validation rows
chose. The published accuracies are for all 4,000 train rows and 6,000 steps:

    python experiments/mnist1d.py --placement none --validation 0 --epochs 150 --seeds 3
"""

from collections.abc import Callable
from functools import partial

import _options as o
import _study as study
import flax.linen as nn

import jaxnoise as jn

PLACEMENTS = ("input", "hidden", "activation", "pool", "step", "output")
MODELS: dict[str, Callable[..., nn.Module]] = {
    "mlp": partial(jn.MLP, (100, 100), 10),
    "cnn": partial(jn.CNN, (25, 25, 25), 10, kernel_size=5),
    "gru": partial(jn.RNN, (16,), 10, cell=nn.GRUCell),
}
WEAK, MIDDLE, STRONG = (0.03, 0.1, 0.3), (0.1, 0.3, 1.0), (0.3, 1.0, 3.0)
STRENGTHS = {
    "mlp": {"input": MIDDLE, "hidden": STRONG, "activation": STRONG},
    "cnn": dict.fromkeys(PLACEMENTS[:4], MIDDLE),
    "gru": {"input": WEAK, "step": (0.01, 0.03, 0.1), "output": MIDDLE},
}
EPOCHS = {"mlp": 100, "cnn": 30, "gru": 50}  # of 30 steps; what ten minutes hold
STUDIES = {
    name: study.Study(
        name=f"mnist1d-{name}",
        data=jn.data.mnist1d,
        recipe=study.network(model),
        strengths=STRENGTHS[name],
        epochs=EPOCHS[name],
        batch_size=100,  # of the published networks, as is the learning rate
        validation=1000,
        question="Would noise raise the accuracy of this network on MNIST-1D, "
        "4,000 made-up series of 40 steps, of which 1,000 choose the strength?",
    )
    for name, model in MODELS.items()
}
main = study.command(
    "mnist1d.py",
    __doc__,
    STUDIES,
    PLACEMENTS,
    learning_rate=1e-2,
    choice=("model", list(MODELS), "the network"),
)

if __name__ == "__main__":
    o.run(main)
