"""Whole trainings of three networks with noise, in jaxnoise and in PyTorch.

The rows are made up, in the shapes of scikit-learn's digits, JapaneseVowels and
MNIST-5k: times do not depend on their values. Noise is Gaussian, before the activation
of every hidden layer or after the LSTM; Adam descends, and after every epoch loss and
accuracy of the test rows are measured.
"""

from typing import Any, NamedTuple

import numpy as np
from circles_contenders import sweeping
from worker import Repeat

STDDEV, LEARNING_RATE = 0.1, 1e-3


class Work(NamedTuple):
    """A network and its rows."""

    row: tuple[int, ...]
    train_rows: int
    test_rows: int
    classes: int
    batch_size: int
    features: tuple[int, ...]


WORKS = {
    "digits CNN": Work((8, 8, 1), 898, 899, 10, 32, (16, 32)),
    "vowels LSTM": Work((29, 12), 270, 370, 9, 32, (32,)),
    "MLP 512-512": Work((28, 28, 1), 4000, 1000, 10, 128, (512, 512)),
}
RECURRENT = "vowels LSTM"
SHORTEST = 7  # of the vowels


def rows_of(name: str) -> dict[str, tuple[Any, np.ndarray]]:
    """Inputs and classes of the sets; series are a pair of values and lengths."""
    work, generator = WORKS[name], np.random.default_rng(0)
    made = {}
    for kind, rows in (("train", work.train_rows), ("test", work.test_rows)):
        x: Any = generator.standard_normal((rows, *work.row), np.float32)
        if name == RECURRENT:
            x = x, generator.integers(SHORTEST, work.row[0] + 1, rows)
        made[kind] = x, generator.integers(work.classes, size=rows)
    return made


def jaxnoise(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
    """A sweep over seeds, on all cores or an accelerator."""
    import jax
    import optax

    import jaxnoise as jn

    jn.use_all_cores()
    name = options["work"]
    work, data = WORKS[name], jn.Data(**rows_of(name))

    def recipe(_: Any) -> jn.Recipe:
        noise = jn.GaussianNoise(STDDEV)
        if name == RECURRENT:
            model: Any = jn.RNN(work.features, work.classes, output_noise=noise)
        else:
            network = jn.CNN if name == "digits CNN" else jn.MLP
            model = network(work.features, work.classes, hidden_noise=noise)
        return jn.Recipe(
            model=model,
            loss=jn.losses.softmax_cross_entropy,
            optimizer=optax.adam(LEARNING_RATE),
            metrics={"accuracy": jn.metrics.accuracy},
        )

    x, _ = data.train
    model = recipe(None).model
    shapes = jax.eval_shape(lambda k: model.init(k, x, train=False), jax.random.key(0))
    leaves = jax.tree.leaves(shapes["params"])
    repeat, notes = sweeping(
        recipe, data, options, batch_size=work.batch_size, curves=("test",)
    )
    weights = sum(w.size for w in leaves if w.ndim > 1)
    return lambda: repeat() and None, notes | {"weights": weights}


def torch(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
    """A hand-written loop over one run, with fused Adam."""
    import torch

    torch.set_num_threads(options["threads"])
    work, rows = WORKS[options["work"]], rows_of(options["work"])
    torch.manual_seed(0)
    model = torch_network(options["work"])
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    cross_entropy = torch.nn.functional.cross_entropy

    def tensors(kind: str) -> list[Any]:
        x, y = rows[kind]
        if options["work"] == RECURRENT:
            return [torch.tensor(x[0]), torch.tensor(x[1]), torch.tensor(y)]
        if options["work"] == "digits CNN":
            x = x.transpose(0, 3, 1, 2).copy()
        return [torch.tensor(x), torch.tensor(y)]

    train, test = tensors("train"), tensors("test")

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


def torch_network(name: str) -> Any:
    """The network in PyTorch's layers."""
    import torch
    from torch import nn

    work = WORKS[name]

    class Noise(nn.Module):
        def forward(self, x: Any) -> Any:
            return x + STDDEV * torch.randn_like(x) if self.training else x

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(work.row[-1], *work.features, batch_first=True)
            self.output = nn.Sequential(
                Noise(), nn.Linear(*work.features, work.classes)
            )

        def forward(self, x: Any, lengths: Any) -> Any:
            states, _ = self.lstm(x)
            return self.output(states[torch.arange(len(x)), lengths - 1])

    if name == RECURRENT:
        return Recurrent()
    layers: list[Any] = []
    if name == "digits CNN":
        before, size = work.row[-1], work.row[0]
        for width in work.features:
            layers += [nn.Conv2d(before, width, 3, padding=1), Noise(), nn.ReLU()]
            layers += [nn.MaxPool2d(2)]
            before, size = width, size // 2
        return nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(before * size**2, work.classes)
        )
    before = int(np.prod(work.row))
    for width in work.features:
        layers += [nn.Linear(before, width), Noise(), nn.ReLU()]
        before = width
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(before, work.classes))


CONTENDERS = {"jaxnoise": jaxnoise, "PyTorch": torch}
