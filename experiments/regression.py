"""Does noise help in regression? Diabetes and a sine; and the law that it obeys.

    python experiments/regression.py

trains a network on 442 patients and on 30 points of a sine, without noise, with it in
four places and with its rivals, and tells what each is worth on test rows, at what
every division's validation rows chose: squared errors, of which less is better. It
holds a linear model with noisy inputs to Bishop's law: what it learns is, on the
average, ridge regression with ``alpha = rows * stddev**2``.
"""

import argparse
from functools import partial
from typing import Any

import _options as o
import _study as study
import numpy as np
import optax
from _files import Files, print_table, store_of
from _rivals import noises
from _tables import others

import jaxnoise as jn

PLACEMENTS = ("input", "hidden", "activation", "weights")
RIDGE_STRENGTHS = (0.1, 0.3, 1.0)
RIDGE_SEEDS = 10
RIDGE_EPOCHS = 10_000
RIDGE_RATE = 0.1  # full batches: stable to eigenvalues of 10, converged at 10,000


def sine(train_size: int, *, validation: int, seed: int) -> jn.Data:
    """The sine, with 1,000 test points."""
    return jn.data.sine(
        train_size + 1000, train_size, validation=validation, seed=seed, population=1
    )


def ridge_law(files: Files, shown: study.Shown) -> dict[str, Any]:
    """A linear model with noisy inputs, against ridge regression and least squares."""
    options = shown.options
    x, y = jn.data.diabetes(seed=options.data_seed).train
    rows = against_ridge(linear(options), x, y)
    print("a linear model with noisy inputs: root mean square over its weights")
    lines = [["strength", "to ridge", "one run's spread", "to least squares"]]
    for row in rows:
        numbers = (row[name] for name in ("to ridge", "spread", "to least squares"))
        lines.append([f"{row['strength']:g}", *(f"{number:.4f}" for number in numbers)])
    print_table(lines)
    if not options.no_plots:
        files.picture("ridge.png", lambda: draw_ridge(rows, x, y))
    return {"ridge": rows}


def linear(options: argparse.Namespace) -> jn.SweepResult:
    """Linear models that were trained with noise on their inputs."""

    def recipe(stddev: Any) -> jn.Recipe:
        return jn.Recipe(
            model=jn.MLP((), 1, input_noise=jn.GaussianNoise(stddev)),
            loss=jn.losses.squared_error,
            optimizer=optax.sgd(RIDGE_RATE),
        )

    data = jn.data.diabetes(seed=options.data_seed)
    return jn.sweep(
        {"input": recipe},
        strengths={"input": RIDGE_STRENGTHS},
        data=data,
        seeds=range(options.seed, options.seed + RIDGE_SEEDS),
        epochs=100 if options.quick else RIDGE_EPOCHS,
        batch_size=jn.data.row_count(data.train),
        curves=(),
        keep_params=True,
        store=store_of(options, "ridge.sqlite"),
    )


def against_ridge(
    result: jn.SweepResult, x: np.ndarray, y: np.ndarray
) -> list[dict[str, Any]]:
    """By strength, how far the weights are from where the law puts them."""
    from sklearn.linear_model import LinearRegression, Ridge

    least = LinearRegression().fit(x, y[:, 0]).coef_
    rows = []
    for stddev in RIDGE_STRENGTHS:
        params = result.where(strength=stddev).params
        weights = np.stack([each["output"]["kernel"][:, 0] for each in params])
        ridge = Ridge(alpha=len(x) * stddev**2).fit(x, y[:, 0]).coef_
        mean = weights.mean(axis=0)
        rows.append(
            {
                "strength": stddev,
                "to ridge": _rms(mean - ridge),
                "spread": _rms(weights - mean),
                "to least squares": _rms(mean - least),
                "weights": mean.tolist(),
                "ridge": ridge.tolist(),
            }
        )
    return rows


def draw_ridge(rows: list[dict[str, Any]], x: np.ndarray, y: np.ndarray) -> Any:
    """The path of ridge regression, and what was learnt with noise."""
    import matplotlib.pyplot as plt
    from sklearn.linear_model import Ridge

    grid = np.geomspace(0.03, 3, 60)
    path = [Ridge(alpha=len(x) * s**2).fit(x, y[:, 0]).coef_ for s in grid]
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    axes.plot(grid, path, color="0.5", linewidth=1)
    axes.plot([], [], color="0.5", label="ridge regression, alpha = rows × stddev²")
    for row in rows:
        strengths = [row["strength"]] * len(row["weights"])
        axes.plot(strengths, row["weights"], "o", color="C0", markersize=4)
    axes.plot([], [], "o", color="C0", label="trained with noise, mean of the seeds")
    axes.set(xscale="log", xlabel="stddev of the noise on the inputs", ylabel="weight")
    ticks = [0.03, *RIDGE_STRENGTHS, 3.0]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.legend()
    return figure


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))


MLP: dict[str, Any] = {
    "recipe": study.network(
        partial(jn.MLP, (100,), 1),
        loss=jn.losses.squared_error,
        metrics={"squared_error": jn.metrics.squared_error},
    ),
    "metric": "squared_error",
    "batch_size": 32,
    "validation": 100,
}
STUDIES = {
    "diabetes": study.Study(
        name="diabetes-mlp",
        data=jn.data.diabetes,
        strengths=noises(PLACEMENTS),
        others=others({"squared_error": jn.metrics.squared_error}, classes=None),
        epochs=200,
        more=ridge_law,
        question="Would noise lower the squared error of a network that tells from "
        "10 measurements how far a patient's diabetes is in a year? Targets have mean "
        "0 and standard deviation 1.",
        **MLP,
    ),
    "sine": study.Study(
        name="sine-mlp",
        data=sine,
        train_size=30,
        strengths=noises(PLACEMENTS),
        epochs=2000,
        question="Would noise lower the squared error of a network that learns one "
        "period of a sine from 30 noisy points? The lowest possible is 0.09, the noise "
        "of the targets.",
        **MLP,
    ),
}
main = study.Script(
    "regression.py",
    __doc__,
    STUDIES,
    PLACEMENTS,
    learning_rate=3e-3,
    choice=("data", list(STUDIES), "the data set"),
)

if __name__ == "__main__":
    o.run(main)
