"""Whole trainings of three networks with noise, in jaxnoise and in PyTorch.

The rows are made up, in the shapes of scikit-learn's digits, JapaneseVowels and
MNIST-5k: times do not depend on their values. Noise is Gaussian, before the activation
of every hidden layer or after the LSTM; Adam descends, and after every epoch loss and
accuracy of the test rows are measured.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from circles_contenders import sweeping
from worker import Contender, Options

STDDEV, LEARNING_RATE = 0.1, 1e-3


class Work(NamedTuple):
    """A network and its rows: of one axis, of two (a series) or of three (an image)."""

    row: tuple[int, ...]
    classes: int
    features: tuple[int, ...]
    train_rows: int
    test_rows: int
    batch_size: int


WORKS = {
    "digits CNN": Work((8, 8, 1), 10, (16, 32), 898, 899, 32),
    "vowels LSTM": Work((29, 12), 9, (32,), 270, 370, 32),
    "MLP 512-512": Work((784,), 10, (512, 512), 4000, 1000, 128),
}
SERIES, IMAGE = 2, 3
SHORTEST = 7  # of the vowels


def rows_of(work: Work) -> dict[str, tuple[Any, np.ndarray]]:
    """Inputs and classes of the sets; series are a pair of values and lengths."""
    generator = np.random.default_rng(0)
    made = {}
    for kind, rows in (("train", work.train_rows), ("test", work.test_rows)):
        x: Any = generator.standard_normal((rows, *work.row), np.float32)
        if len(work.row) == SERIES:
            x = x, generator.integers(SHORTEST, work.row[0] + 1, rows)
        made[kind] = x, generator.integers(work.classes, size=rows)
    return made


def jaxnoise(options: Options) -> Contender:
    """A sweep over seeds, on all cores or an accelerator."""
    import jax
    import optax

    import jaxnoise as jn

    work = WORKS[options["work"]]
    data = jn.Data(**rows_of(work))
    network = {SERIES: jn.RNN, IMAGE: jn.CNN}.get(len(work.row), jn.MLP)
    site = "output_noise" if network is jn.RNN else "hidden_noise"
    noise = {site: jn.GaussianNoise(STDDEV)}
    recipe = jn.Recipe(
        model=network(work.features, work.classes, **noise),
        loss=jn.losses.softmax_cross_entropy,
        optimizer=optax.adam(LEARNING_RATE),
        metrics={"accuracy": jn.metrics.accuracy},
    )
    repeat, notes = sweeping(
        lambda _: recipe, data, options, batch_size=work.batch_size, curves=("test",)
    )
    init = partial(recipe.model.init, train=False)
    shapes = jax.eval_shape(init, jax.random.key(0), data.train[0])["params"]
    weights = sum(w.size for w in jax.tree.leaves(shapes) if w.ndim > 1)
    return lambda: repeat() and None, notes | {"weights": weights}


def torch(options: Options) -> Contender:
    """A hand-written loop over one run, with fused Adam."""
    import torch

    torch.set_num_threads(options["threads"])
    torch.manual_seed(0)
    work = WORKS[options["work"]]

    def tensors(x: Any, y: np.ndarray) -> list[Any]:
        if len(work.row) == IMAGE:
            x = np.moveaxis(x, -1, 1).copy()
        inputs = x if isinstance(x, tuple) else (x,)
        return [torch.tensor(each) for each in (*inputs, y)]

    train, test = (tensors(*rows) for rows in rows_of(work).values())
    model = torch_network(work)
    model(*(each[:1] for each in test[:-1]))  # now its layers know their sizes
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    cross_entropy = torch.nn.functional.cross_entropy

    def epoch() -> None:
        model.train()
        for at in torch.randperm(work.train_rows).split(work.batch_size):
            *x, y = (each[at] for each in train)
            optimizer.zero_grad(set_to_none=True)
            cross_entropy(model(*x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            *x, y = test
            logits = model(*x)
            float(cross_entropy(logits, y))
            float((logits.argmax(-1) == y).float().mean())

    def repeat() -> None:
        for _ in range(options["epochs"]):
            epoch()

    epoch()  # warm-up
    weights = sum(w.numel() for w in model.parameters() if w.ndim > 1)
    return repeat, {"weights": weights}


def torch_network(work: Work) -> Any:
    """The network in PyTorch's layers."""
    import torch
    from torch import nn

    class Noise(nn.Module):
        def forward(self, x: Any) -> Any:
            return x + STDDEV * torch.randn_like(x) if self.training else x

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(work.row[-1], *work.features, batch_first=True)
            self.output = nn.Sequential(Noise(), nn.LazyLinear(work.classes))

        def forward(self, x: Any, lengths: Any) -> Any:
            states, _ = self.lstm(x)
            return self.output(states[torch.arange(len(x)), lengths - 1])

    if len(work.row) == SERIES:
        return Recurrent()
    layers: list[Any] = []
    for width in work.features:
        if len(work.row) == IMAGE:
            layers += [nn.LazyConv2d(width, 3, padding=1), Noise(), nn.ReLU()]
            layers += [nn.MaxPool2d(2)]
        else:
            layers += [nn.LazyLinear(width), Noise(), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(work.classes))


CONTENDERS = {"jaxnoise": jaxnoise, "PyTorch": torch}
