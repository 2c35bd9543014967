r"""Does noise help a convolutional network? Digits of 8 × 8 and of 28 × 28 pixels.

    python experiments/digits_cnn.py

trains two blocks of convolution, activation and pooling without noise, with it at every
site and with its rivals, and tells what each is worth on test rows, at what every
draw's validation rows chose. The level to reach on scikit-learn's division of its
digits into halves is 0.96, for all of the first half and twice the epochs:

    python experiments/digits_cnn.py --data digits --placement none --validation 0 \
        --train-size 898 --draws 1 --epochs 60 --seeds 3
"""

from functools import partial

import _options as o
import _study as study
from _rivals import noises

import jaxnoise as jn

PLACEMENTS = ("input", "hidden", "activation", "pool")
STRENGTHS = noises(PLACEMENTS)
EVERY = 16  # of MNIST's 4,000 test rows: measuring all takes longer than training


def mnist5k(train_size: int | None, *, validation: int, seed: int) -> jn.Data:
    """MNIST's digits, with some of the test rows, which stand in order of class."""
    data = jn.data.mnist5k(train_size, validation=validation, seed=seed)
    x, y = data.test
    return jn.Data(**{**data, "test": (x[::EVERY], y[::EVERY])})


STUDIES = {
    "digits": study.Study(
        name="digits-cnn",
        data=jn.data.digits,
        recipe=study.network(partial(jn.CNN, (16, 32), 10), classes=10),
        strengths=STRENGTHS,
        train_size=100,
        validation=100,
        epochs=30,
        batch_size=16,
        question="Would noise raise the accuracy of a convolutional network on "
        "scikit-learn's digits of 8 × 8 pixels, 100 of them to train on?",
    ),
    "mnist5k": study.Study(
        name="mnist5k-cnn",
        data=mnist5k,
        recipe=study.network(partial(jn.CNN, (8, 16), 10), classes=10),
        strengths=STRENGTHS,
        train_size=100,
        validation=100,
        epochs=20,
        batch_size=32,
        question="Would noise raise the accuracy of a convolutional network on 100 "
        "of MNIST's digits?",
    ),
}
main = study.Script(
    "digits_cnn.py",
    __doc__,
    STUDIES,
    PLACEMENTS,
    learning_rate=2e-3,
    choice=("data", list(STUDIES), "the data set"),
    add=study.add_train_size,
)

if __name__ == "__main__":
    o.run(main)
