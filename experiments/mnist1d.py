"""Does noise help on MNIST-1D? A perceptron, convolutions and a GRU, with paired runs.

    python experiments/mnist1d.py

trains each network without noise and with it at every site, on the same seeds, and
tells what each placement is worth on test rows, at the strength that validation rows
chose. The published accuracies are for all 4,000 train rows and 6,000 steps:

    python experiments/mnist1d.py --placement none --validation 0 --epochs 150 --seeds 3
"""

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

import _options as o
import _study as study
import flax.linen as nn

import jaxnoise as jn

PLACEMENTS = ("input", "hidden", "activation", "pool", "step", "output")
MODELS: dict[str, Any] = {
    "mlp": partial(jn.MLP, (100, 100), 10),
    "cnn": partial(jn.CNN, (25, 25, 25), 10, kernel_size=5),
    "gru": partial(jn.RNN, (16,), 10, cell=nn.GRUCell),
}
STRENGTHS: dict[str, dict[str, Sequence[float]]] = {
    "mlp": {"input": (0.1, 0.3, 1), "hidden": (0.3, 1, 3), "activation": (0.3, 1, 3)},
    "cnn": {
        "input": (0.1, 0.3, 1),
        "hidden": (0.1, 0.3, 1),
        "activation": (0.1, 0.3, 1),
        "pool": (0.1, 0.3, 1),
    },
    "gru": {
        "input": (0.03, 0.1, 0.3),
        "step": (0.01, 0.03, 0.1),
        "output": (0.1, 0.3, 1),
    },
}
EPOCHS = {"mlp": 100, "cnn": 30, "gru": 50}  # of 30 steps; what ten minutes hold
LEARNING_RATE = 1e-2  # of the published networks, as are the rows of a minibatch
BATCH_SIZE = 100


def studies(options: argparse.Namespace) -> list[study.Study]:
    """A study a network."""
    return [
        study.Study(
            name=f"mnist1d-{model}",
            data=jn.data.mnist1d,
            recipe=partial(
                study.noisy_recipe,
                MODELS[model],
                loss=jn.losses.softmax_cross_entropy,
                metrics={"accuracy": jn.metrics.accuracy},
                learning_rate=options.learning_rate,
            ),
            strengths=STRENGTHS[model],
            epochs=EPOCHS[model],
            batch_size=BATCH_SIZE,
            validation=1000,
            question="Would noise raise the accuracy of this network on MNIST-1D, "
            "4,000 made-up series of 40 steps, of which 1,000 choose the strength?",
        )
        for model in (MODELS if options.model == "all" else [options.model])
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Train, print, write; the exit code."""
    parser = study.parser(
        "mnist1d.py", __doc__, PLACEMENTS, learning_rate=LEARNING_RATE
    )
    parser.add_argument(
        "--model", choices=[*MODELS, "all"], default="all", help="the network"
    )
    return study.main(parser, argv, PLACEMENTS, studies)


if __name__ == "__main__":
    o.run(main)
