"""Runs of a seed that share their draws have the numbers of runs alone."""

from functools import partial

import numpy as np
import optax
import pytest

import jaxnoise as jn
from jaxnoise.training import groups, program
from jaxnoise.training.devices import runs_mesh
from jaxnoise.training.plan import Run
from jaxnoise.training.recipe import Settings

UNITS = 150  # of which a run is computed alone
STRENGTHS = [0.1, 0.2, 0.3]


def recipe(strength, site="hidden", layer=jn.GaussianNoise, **more):
    sites = {f"{site}_noise": layer(strength)} if site else {}
    return jn.Recipe(
        model=jn.MLP((UNITS,), 1, **sites),
        loss=jn.losses.binary_cross_entropy,
        optimizer=more.pop("optimizer", optax.adam)(1e-2),
        metrics={"accuracy": jn.metrics.binary_accuracy},
        **more,
    )


def swapped(strength):
    """Noise of a batch, whose draws are large beside a small network."""

    def noise(key, x, y):
        return jn.swap_noise(key, x, strength), y

    return recipe(strength, None, batch_noise=noise)


RECIPES = {
    "hidden": recipe,
    "activation": partial(recipe, site="activation", layer=jn.GaussianDropout),
    "dropout": partial(recipe, site="activation", layer=jn.Dropout),
    "momentum": partial(recipe, optimizer=partial(optax.sgd, momentum=0.9)),
    "a stop": partial(recipe, patience=2),
    "labels": lambda s: recipe(s, label_noise=partial(jn.add_gaussian_noise, stddev=s)),
    "swap": swapped,
}


def sweep(monkeypatch, recipes, *, together=True, strengths=STRENGTHS, **options):
    """Runs in groups or alone, whatever they take and save."""
    program.traced_program.cache_clear()
    monkeypatch.setattr(groups, "WORTH", 2**20 if together else 0)
    monkeypatch.setattr(groups, "STEPS_BYTES", 2**16)
    asked = {"data": jn.data.circles(), "seeds": 3, "epochs": 7, "batch_size": 64}
    asked |= options
    return jn.sweep(
        recipes,
        strengths=dict.fromkeys(recipes, strengths),
        progress=False,
        **asked,
    )


def assert_alike(one, other, atol=2e-6):
    assert one.runs.columns.equals(other.runs.columns)
    for name in one.runs.select_dtypes("number"):
        np.testing.assert_allclose(one.runs[name], other.runs[name], 0, atol)
    for name, curve in one.curves.items():
        np.testing.assert_allclose(curve, other.curves[name], 0, atol)


@pytest.mark.parametrize(
    "name",
    [
        "hidden",
        *(pytest.param(name, marks=pytest.mark.slow) for name in [*RECIPES][1:]),
    ],
)
def test_numbers_are_those_of_runs_alone(name, monkeypatch):
    """But for rounding, as the compiler fuses other operations."""
    data = jn.data.circles(validation=20) if name == "a stop" else None
    options = {"data": data} if data else {}
    alone = sweep(monkeypatch, {"p": RECIPES[name]}, together=False, **options)
    assert_alike(alone, sweep(monkeypatch, {"p": RECIPES[name]}, **options))


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 13},
        {"batch_size": 10, "metrics_every": 3},
        {"metrics_every": 2},
        {"batch_size": 13, "curves": ()},
        {"data": [jn.data.circles(seed=seed) for seed in (1, 2)]},
        {"keep_params": True, "keep_rows": True},
    ],
    ids=str,
)
def test_in_whatever_loops(options, monkeypatch):
    recipes = {"hidden": recipe, "weights": weights}
    alone = sweep(monkeypatch, recipes, together=False, **options)
    assert_alike(alone, sweep(monkeypatch, recipes, **options))


def weights(strength):
    noise = partial(jn.tree_add_gaussian_noise, stddev=strength)
    return recipe(strength, None, weight_noise=noise)


def test_placements_of_one_recipe_go_together(monkeypatch):
    """Nine cells are two groups, of which one has a run and seven that take no time."""
    names = [f"p{number}" for number in range(3)]
    together = sweep(monkeypatch, dict.fromkeys(names, recipe))
    alone = sweep(monkeypatch, {"p": recipe})
    for _, mine in together.runs.groupby("placement"):
        for metric in ("train_loss", "test_loss"):
            assert mine[metric].tolist() == alone.runs[metric].tolist()


def test_who_goes_together():
    runs = [Run("p", strength, seed, 0) for strength in (1, 2) for seed in (0, 1)]
    assert groups.have_others(runs) and not groups.have_others(runs[:2])


@pytest.mark.parametrize(
    ("site", "size"), [("hidden", groups.MOST), ("input", 1), (None, 1)]
)
def test_a_group_must_be_worth_it(site, size):
    """What is drawn on two inputs is little beside a step."""
    placed = partial(recipe, site=site)
    signature = program.signature_of((np.float32(0), jn.data.circles()))
    settings = Settings(4000, 64, vectorize="auto")
    asked = signature, settings, False, 8, runs_mesh()
    assert program.traced_program(placed, *asked).grouped.group == size
