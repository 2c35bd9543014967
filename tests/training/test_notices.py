"""What a sweep tells of once: probabilities, slow convolutions, noise that is none."""

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest
from flax import nnx

import jaxnoise as jn
from jaxnoise.results import RunResult
from jaxnoise.training import notices
from jaxnoise.training.devices import runs_mesh
from jaxnoise.training.notices import check_noise_acts
from jaxnoise.training.plan import plan_runs
from jaxnoise.training.program import signature_of, traced_program
from jaxnoise.training.recipe import Settings


@pytest.fixture(autouse=True)
def untold():
    notices.warn_once.cache_clear()


def trace(recipe, data):
    """Trace a placement of a sweep, without compiling it."""
    signature = signature_of((np.float32(0), data))
    settings = Settings(1, 3, ("train",))
    return traced_program(recipe, signature, settings, False, 1, runs_mesh())


# Probabilities where logits are taken

X = np.ones((6, 2), np.float32)
LABELS = np.array([0, 1, 2] * 2, np.int32)
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
BCE = jn.losses.binary_cross_entropy
CLASSES = {"loss": jn.losses.softmax_cross_entropy, "y": LABELS}
OF_SQUARES = {
    "loss": jn.losses.squared_error,
    "metrics": {"error": jn.metrics.squared_error, "right": jn.metrics.exact_match},
}


class Ends(nn.Module):
    last: object

    @nn.compact
    def __call__(self, x, train):
        x = jn.GaussianNoise(0.1)(nn.Dense(3)(x), train=train)
        return self.last(x)


def train(last, loss=BCE, y=ONE_HOT, model=Ends, **parts):
    """Trace a run, without compiling it."""
    made = jn.Recipe(model(last), loss, optax.sgd(0.1), **parts)
    run = jn.make_train(lambda _: made, epochs=1, batch_size=6)
    data = jn.Data(train=(X, y))
    jax.make_jaxpr(lambda data: run(jax.random.key(0), 0.1, data))(data)


def of_nnx(last):
    def net(rngs):
        return nnx.Sequential(nnx.Linear(2, 3, rngs=rngs), last)

    return jn.nnx.model(net)


def reshaped_by_remat(x):
    return jax.checkpoint(nn.sigmoid)(x.T[None])[0].T


def softmax_by_hand(x):
    unscaled = jax.numpy.exp(x)
    return unscaled / unscaled.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("takes", "parts"),
    [
        ("losses.binary_cross_entropy", {"last": nn.sigmoid}),
        ("losses.binary_cross_entropy", {"last": jax.jit(nn.sigmoid)}),
        ("losses.binary_cross_entropy", {"last": reshaped_by_remat}),
        ("losses.binary_cross_entropy", {"last": nnx.sigmoid, "model": of_nnx}),
        ("losses.softmax_cross_entropy", {"last": nn.softmax} | CLASSES),
        ("losses.softmax_cross_entropy", {"last": softmax_by_hand} | CLASSES),
        ("metrics.exact_match", {"last": nn.sigmoid} | OF_SQUARES),
    ],
)
def test_probabilities_are_told_of(takes, parts):
    last = "softmax" if takes.endswith("softmax_cross_entropy") else "sigmoid"
    message = (
        rf"outputs look like probabilities \(its last operation is a {last}\), and "
        f"jn.{takes} takes logits: leave the {last} out"
    )
    with pytest.warns(UserWarning, match=message) as told:
        train(**parts)
    assert [warning.filename for warning in told] == [__file__]


@pytest.mark.parametrize(
    "parts",
    [
        {"last": nn.relu},
        {"last": nn.tanh},
        {"last": nn.log_softmax} | CLASSES,
        {"last": lambda x: 4 * nn.sigmoid(x)},
        {"last": lambda x: x / 2},
        {"last": lambda x: x / x.sum(axis=-1, keepdims=True)},
        {"last": lambda x: 0 * x[:, :1], "y": ONE_HOT[:, :1]},
        {"last": nn.sigmoid, "loss": jn.losses.squared_error},
        {
            "last": nn.softmax,
            "loss": lambda p, t: -(t * jax.numpy.log(p)).sum(-1),
            "metrics": {"accuracy": jn.metrics.accuracy},  # the largest is the same
        },
    ],
)
def test_others_are_not(parts):
    train(**parts)  # a warning would be an error


@pytest.mark.slow
def test_a_sweep_of_many_placements_tells_once():
    data = jn.Data(train=(X, ONE_HOT))

    def recipe(_):
        return jn.Recipe(Ends(nn.sigmoid), BCE, optax.sgd(0.1))

    with pytest.warns(UserWarning, match="leave the sigmoid out") as told:
        trace(recipe, data)
    assert len(told) == 1
    trace(lambda _: recipe(0.0), data)


# Convolutions


class Net(nn.Module):
    """Two layers, so that the inputs of the second need a gradient, too."""

    conv: type[nn.Module]
    remat: bool = False

    @nn.compact
    def __call__(self, x, train):
        conv = nn.remat(self.conv) if self.remat else self.conv
        x = nn.relu(conv(3, (3,), name="first")(x))
        x = nn.relu(conv(3, (3,), name="second")(x))
        return nn.Dense(2)(x.reshape(x.shape[0], -1))


class Frozen(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = jax.lax.stop_gradient(nn.Conv(3, (3,))(x))
        return nn.Dense(2)(x.reshape(x.shape[0], -1))


ROWS = jn.Data(train=(np.ones((6, 5, 1)), np.arange(6) % 2))


def of(model):
    recipe = jn.Recipe(model, jn.losses.softmax_cross_entropy, optax.sgd(0.1))
    return lambda _: recipe


@pytest.mark.bad_input  # a check of types stands between caller and sweep
def test_flax_convolutions_are_told_of_once():
    message = "gradients of XLA convolutions.* use jaxnoise.Conv in place of flax"
    with pytest.warns(UserWarning, match=message) as told:
        jn.sweep(
            {"none": of(Net(nn.Conv))},
            strengths={},
            data=ROWS,
            seeds=1,
            epochs=1,
            batch_size=6,
            curves=(),
        )
    assert told[0].filename == __file__
    trace(of(Net(nn.Conv)), ROWS)  # a warning would be an error


@pytest.mark.parametrize(
    "model", [Net(jn.Conv), Net(jn.Conv, remat=True), Frozen()], ids=range(3)
)
def test_our_convolutions_and_values_alone_are_not(model):
    """Values are fast: here of a layer whose gradient is stopped."""
    trace(of(model), ROWS)


def test_accelerators_are_not(monkeypatch):
    monkeypatch.setattr(notices.jax, "default_backend", lambda: "gpu")
    trace(of(Net(nn.Conv)), ROWS)


# Noise that never acts: a believable 0.0000 is worse than an error

NONE, BOTH = {"hidden": 0.0, "input": 0.0}, {"hidden": 0.2, "input": 0.1}


def check(losses, strengths, seeds=(0, 1)):
    """A loss, or one a strength, of each placement; other runs are a seed further."""
    runs = plan_runs({p: lambda _: None for p in losses}, strengths, seeds, 1)
    counts = [len(np.atleast_1d(strengths.get(placement, 0))) for placement in losses]
    pairs = zip(losses.values(), counts, strict=True)
    of_cells = np.concatenate([np.broadcast_to(loss, n) for loss, n in pairs])
    results = {}
    for i, loss in enumerate(np.repeat(of_cells, len(seeds))):
        loss = np.float32(loss + runs[i].seed)
        curves = {"train_loss": np.array([0.0, loss], np.float32)}
        finite = np.isfinite(loss)
        results[i] = RunResult({"train_loss": loss}, curves, None, finite)
    check_noise_acts(runs, results, strengths.keys())


SAME = "bit for bit: does its recipe use the strength?"


@pytest.mark.parametrize(
    ("losses", "strengths", "message"),
    [
        (
            {"none": 1, "hidden": 1},
            {"hidden": [0.1]},
            f"'hidden' are .* 'none', {SAME}",
        ),
        (
            {"hidden": 1, "none": 1},
            {"hidden": [0.1]},
            f"'hidden' are .* 'none', {SAME}",
        ),
        (
            {"none": 1, "both": 1},
            {"both": [BOTH]},
            f"'both' are those of 'none', {SAME}",
        ),
        ({"none": 1, "hidden": 2}, {"hidden": [1, 2, 3]}, f"same at every .* {SAME}"),
        (
            {"hidden": 1},
            {"hidden": [0, 0.1]},
            f"'hidden' are the same at every .* {SAME}",
        ),
        (
            {"input": 1, "none": 2, "hidden": 1},
            {},
            "'input' are those of 'hidden', .* strengths names neither, so that both",
        ),
    ],
)
def test_noise_that_never_acts_is_told_of(losses, strengths, message):
    with pytest.warns(UserWarning, match=message) as told:
        check(losses, strengths)
    assert len(told) == 1


@pytest.mark.parametrize(
    ("losses", "strengths"),
    [
        ({"none": 1, "hidden": [1, 2]}, {"hidden": [0, 0.1]}),
        ({"none": 1, "hidden": 1}, {"hidden": [0]}),
        ({"none": 1, "both": [2, 1]}, {"both": [BOTH, NONE]}),
        ({"none": 1, "input": 2, "both": [2, 3]}, {"input": [0.1], "both": [0.1, 0.2]}),
        ({"none": 1, "max-norm": [2, 1, 1]}, {"max-norm": [0.5, 8, 16]}),
        ({"none": 1, "dropout": 2}, {}),
        ({"none": 1, "hidden": np.nan, "input": np.nan}, {"hidden": [1], "input": [1]}),
        ({"none": 1, "hidden": np.nextafter(1, 2, dtype="f4")}, {"hidden": [0.1]}),
    ],
)
def test_what_may_well_be_is_not(losses, strengths):
    check(losses, strengths, seeds=(0,))  # a warning would be an error


@pytest.mark.bad_input  # a check of types stands between caller and sweep
def test_a_sweep_tells_its_caller():
    def recipe(_):
        return jn.Recipe(jn.MLP((), 1), jn.losses.squared_error, optax.sgd(0.1))

    x = np.ones((2, 1), np.float32)
    options = {"seeds": 1, "epochs": 1, "batch_size": 2, "data": jn.Data(train=(x, x))}
    with pytest.warns(UserWarning, match="does its recipe use the strength") as told:
        jn.sweep(
            {"none": recipe, "hidden": recipe}, strengths={"hidden": 0.1}, **options
        )
    assert [warning.filename for warning in told] == [__file__]
