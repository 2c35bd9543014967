"""Typical mistakes of a new user: each gets one line that names what to do instead."""

from functools import partial
from unittest.mock import patch

import flax.linen as nn
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import pandas as pd
import pytest
from flax import nnx

import jaxnoise as jn
from jaxnoise.training import devices

KEY = jax.random.key(0)
X = np.ones((6, 3), np.float32)
Y = np.array([[0], [1]] * 3, np.float32)
LABELS = np.array([0, 1, 2] * 2, np.int32)
DATA = jn.Data(train=(X, Y), test=(X, Y))
RNGS = {"noise": KEY}
BCE, SOFTMAX = jn.losses.binary_cross_entropy, jn.losses.softmax_cross_entropy
RUNS = pd.DataFrame(
    [(p, s, seed) for p, s in [("none", 0.0), ("input", 0.1)] for seed in range(10)],
    columns=["placement", "strength", "seed"],
).assign(test_accuracy=np.linspace(0, 1, 20))


def add_noise_to(*arguments, **options):
    return jn.add_gaussian_noise(*arguments, **options)


def recipe(noise=None, **parts):
    usual = {
        "model": jn.MLP((4,), 1, hidden_noise=noise),
        "loss": BCE,
        "optimizer": optax.adam(1e-3),
    }
    return jn.Recipe(**usual | parts)


def train(recipe=lambda _: recipe(), data=DATA, key=KEY, strength=0.1):
    """Trace a run, without compiling it."""
    run = jn.make_train(recipe, epochs=1, batch_size=6)
    jax.make_jaxpr(lambda data: run(key, strength, data))(data)


def train_on(x=X, y=Y, **parts):
    train(lambda _: recipe(**parts), jn.Data(train=(x, y)))


def sweep(recipes=None, **changed):
    usual = {
        "strengths": {"hidden": [0.1]},
        "data": DATA,
        "seeds": 1,
        "epochs": 1,
        "batch_size": 6,
    }
    recipes = recipes or {
        "none": lambda _: recipe(),
        "hidden": lambda stddev: recipe(jn.GaussianNoise(stddev)),
    }
    jn.sweep(recipes, **usual | changed)


class NoTrain(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(x)


class OfNNX(nnx.Module):
    def __init__(self, rngs):
        self.dense = nnx.Linear(3, 1, rngs=rngs)

    def __call__(self, x):
        return self.dense(x)


def softmax_sweep(labels, outputs=3):
    made = recipe(model=jn.MLP((4,), outputs), loss=SOFTMAX)
    sweep({"none": lambda _: made}, strengths={}, data=jn.Data(train=(X, labels)))


def legacy_key_as_stream():
    rngs = {"noise": jax.random.PRNGKey(0)}
    jn.GaussianNoise(0.1).apply({}, X, train=True, rngs=rngs)


def schedule_without_mutable():
    layer = jn.GaussianNoise(optax.linear_schedule(1.0, 0.0, 10))
    layer.apply({}, X, train=True, rngs=RNGS)


def noise_of_another_shape():
    layer = jn.Noise(lambda key, x: x[:1])
    layer.apply({}, X, train=True, rngs=RNGS)


def noise_without_return():
    layer = jn.Noise(lambda key, x: None)
    layer.apply({}, X, train=True, rngs=RNGS)


def function_as_noise():
    noise = partial(jn.add_gaussian_noise, stddev=0.1)
    jn.MLP((4,), 1, hidden_noise=noise)


def lengths_too_long():
    lengths = np.array([5, 6])
    jn.RNN((4,), 1).init(KEY, np.ones((2, 5, 1)), train=False, lengths=lengths)


def labels_as_floats():
    y = LABELS.astype(np.float32)
    train_on(y=y, model=jn.MLP((4,), 3), loss=SOFTMAX)


def binary_accuracy_of_classes():
    parts = {"loss": SOFTMAX, "metrics": {"accuracy": jn.metrics.binary_accuracy}}
    train_on(y=LABELS, model=jn.MLP((4,), 3), **parts)


def labels_of_minus_1():
    data = jn.Data(train=(X, 2 * Y - 1))
    sweep({"none": lambda _: recipe()}, strengths={}, data=data)


def all_cores_late():
    jnp.ones(())
    with (
        patch.object(devices, "core_count", lambda: 64),
        patch.object(devices, "_number_was_set", lambda: False),
    ):
        jn.use_all_cores()


def gradient_noise_without_key():
    optimizer = optax.chain(jn.gradient_noise(0.1), optax.sgd(1.0))
    optimizer.update(X, optimizer.init(X))


def nan_in_data():
    x = X.copy()
    x[0, 0] = np.nan
    jn.Data(train=(x, Y))


def nan_in_a_frame():
    frame = pd.DataFrame({"a": [1, None] * 3, "b": [True, False, None] * 2})
    jn.Data(train=(frame.convert_dtypes(), Y))


def set_that_is_not_there():
    x, y = DATA.validation


def strengths_as_dicts():
    table = RUNS.assign(strength=[{"input": 0.1}] * len(RUNS))
    jn.compare(table, metric="test_accuracy")


def figure_as_axes():
    figure = plt.figure()
    plt.close(figure)
    jn.plots.forest(RUNS, metric="test_accuracy", ax=figure)


def curves_of_a_whole_name():
    curves = {f"test_{name}": np.zeros((20, 1)) for name in ("accuracy", "loss")}
    result = jn.SweepResult(
        *(RUNS, curves, np.ones(1), (None,) * 20, True),
        compile_seconds=0.0,
        run_seconds=0.0,
        device="1 x cpu",
    )
    jn.plots.learning_curves(result, metric="test_accuracy")


MISTAKES = {  # what someone wrote: the error's kind, what it says, the code
    # Noise functions: keys, strengths, arrays and masks.
    "legacy key": (
        TypeError,
        r"key must be a typed key, jax.random.key\(seed\), .*wrap_key_data",
        lambda: add_noise_to(jax.random.PRNGKey(0), X, 0.1),
    ),
    "seed as key": (
        TypeError,
        r"key must be a typed key, jax.random.key\(seed\), got 0",
        lambda: add_noise_to(0, X, 0.1),
    ),
    "generator of numpy as key": (
        TypeError,
        r"key must be a typed key, jax.random.key\(seed\), got a Generator",
        lambda: add_noise_to(np.random.default_rng(0), X, 0.1),
    ),
    "split keys as key": (
        ValueError,
        r"key must be a single key, got an array of shape \(2,\)",
        lambda: add_noise_to(jax.random.split(KEY), X, 0.1),
    ),
    "key of another generator": (
        TypeError,
        r"key must be a threefry2x32 key, got one of rbg; .*, impl='thre",
        lambda: add_noise_to(jax.random.key(0, impl="rbg"), X, 0.1),
    ),
    "rngs as key": (
        TypeError,
        r"key must be .* got a Rngs of NNX; take a key .* rngs.noise\(\)",
        lambda: add_noise_to(nnx.Rngs(0), X, 0.1),
    ),
    "key and x swapped": (
        TypeError,
        "x must be floating, got a key; the key comes first, then x",
        lambda: add_noise_to(X, KEY, 0.1),
    ),
    "stddev as string": (
        TypeError,
        "stddev must be a number or an array, got '0.1'",
        lambda: add_noise_to(KEY, X, "0.1"),
    ),
    "stddev none": (
        TypeError,
        "stddev must be a number or an array, got None",
        lambda: add_noise_to(KEY, X, None),
    ),
    "stddev negative": (
        ValueError,
        "stddev must be finite and >= 0, got -0.1",
        lambda: add_noise_to(KEY, X, -0.1),
    ),
    "stddev nan": (
        ValueError,
        "stddev must be finite and >= 0, got nan",
        lambda: add_noise_to(KEY, X, float("nan")),
    ),
    "stddev a row": (
        ValueError,
        r"stddev must broadcast against x of shape \(6, 3\), got .*\(6,\)",
        lambda: add_noise_to(KEY, X, np.full(6, 0.1)),
    ),
    "rate in percent": (
        ValueError,
        "rate must be from 0 to 1, got 50",
        lambda: jn.drop_units(KEY, X, 50),
    ),
    "images of bytes": (
        TypeError,
        r"x must be floating, got uint8; cast it first, x.astype\('float32",
        lambda: add_noise_to(KEY, np.zeros((2, 8, 8), np.uint8), 0.1),
    ),
    "params as x": (
        TypeError,
        "x must be an array of numbers, got a dict",
        lambda: add_noise_to(KEY, {"kernel": X, "bias": X[0]}, 0.1),
    ),
    "counter among params": (
        TypeError,
        "params must be floating, got int32 at .'step'.",
        lambda: jn.tree_add_gaussian_noise(KEY, {"step": np.int32(0)}, 0.1),
    ),
    "stddevs of another tree": (
        ValueError,
        r"stddev must be a number or a tree that params begin with, got .*b",
        lambda: jn.tree_add_gaussian_noise(KEY, {"a": X}, {"b": 0.1}),
    ),
    "mask of columns": (
        ValueError,
        r"mask must have the shape of x, \(6, 3\), or .* got \(3,\)",
        lambda: add_noise_to(KEY, X, 0.1, mask=np.ones(3, bool)),
    ),
    "mask with an axis more": (
        ValueError,
        r"leading axes, got \(6, 1\); drop its last axis, mask\[..., 0\]",
        lambda: add_noise_to(KEY, X, 0.1, mask=np.ones((6, 1), bool)),
    ),
    "complex x": (
        TypeError,
        r"x must be real numbers, got complex64\.$",
        lambda: add_noise_to(KEY, X.astype(np.complex64), 0.1),
    ),
    "mask of numbers": (
        TypeError,
        r"mask must be boolean, got float32; cast it, mask.astype\(bool\)",
        lambda: add_noise_to(KEY, X, 0.1, mask=np.ones(6, np.float32)),
    ),
    "axes from 1": (
        ValueError,
        "shared_axes must name axes of x, which has 2, got 2",
        lambda: add_noise_to(KEY, X, 0.1, shared_axes=2),
    ),
    "sampler by name": (
        TypeError,
        "sampler must be a function .* such as jax.random.laplace, got 'lap",
        lambda: jn.add_noise(KEY, X, 0.1, sampler="laplace"),
    ),
    "sampler called": (
        TypeError,
        "sampler must be a function .* got an array of float32 and shape",
        lambda: jn.add_noise(KEY, X, 0.1, sampler=X),
    ),
    "one hot labels flipped": (
        ValueError,
        "labels must be classes, not one-hot rows, .* take their argmax",
        lambda: jn.flip_labels(KEY, np.eye(3), 0.1, num_classes=3),
    ),
    "bounds swapped": (
        ValueError,
        "low must not be above high, got 1.0 and 0.0",
        lambda: jn.clipped(jn.add_gaussian_noise, 1.0, 0.0),
    ),
    "layer clipped": (
        TypeError,
        r"fn must be a noise function \(key, x\) -> x, got a GaussianNoise",
        lambda: jn.clipped(jn.GaussianNoise(0.1), 0.0, 1.0),
    ),
    # Layers of Linen and NNX.
    "train forgotten": (
        ValueError,
        "GaussianNoise: train must be given, train=True for noise or",
        lambda: jn.GaussianNoise(0.1).apply({}, X, rngs=RNGS),
    ),
    "rngs forgotten": (
        ValueError,
        "has no 'noise' key stream: pass rngs={'noise': key} to apply",
        lambda: jn.GaussianNoise(0.1).apply({}, X, train=True),
    ),
    "rngs for dropout alone": (
        ValueError,
        "has no 'noise' key stream: pass rngs={'noise': key} to apply",
        lambda: jn.Dropout(0.1).apply({}, X, train=True, rngs={"dropout": KEY}),
    ),
    "init in training": (
        ValueError,
        "has no 'noise' key stream: .* init with train=False",
        lambda: jn.MLP((4,), 1, hidden_noise=jn.GaussianNoise(0.1)).init(
            KEY, X, train=True
        ),
    ),
    "layer called as in keras": (
        ValueError,
        "has no 'noise' key stream: pass rngs={'noise': key} to apply",
        lambda: jn.GaussianNoise(0.1)(X, train=True),
    ),
    "legacy key as stream": (
        TypeError,
        "key must be a typed key, .*a legacy key: .*wrap_key_data types it",
        legacy_key_as_stream,
    ),
    "train given twice": (
        ValueError,
        "train was given to the constructor and to the call; give it once",
        lambda: jn.GaussianNoise(0.1, train=True).apply({}, X, train=True, rngs=RNGS),
    ),
    "train as word": (
        TypeError,
        "train must be a bool, got 'yes'",
        lambda: jn.GaussianNoise(0.1).apply({}, X, train="yes", rngs=RNGS),
    ),
    "rate and stddev": (
        ValueError,
        "GaussianDropout: give rate or stddev, one of them, got 0.5 and 1",
        lambda: jn.GaussianDropout(0.5, stddev=1.0),
    ),
    "schedule without mutable": (
        ValueError,
        r"pass mutable=\['noise'\] to apply .* variable_axes={'params': 0, 'n",
        schedule_without_mutable,
    ),
    "learnable without init": (
        ValueError,
        r"learnable strength, .* with variables = init\(key, x, train=Fal",
        lambda: jn.GaussianNoise(jn.Learnable(0.5)).apply({}, X, train=True, rngs=RNGS),
    ),
    "learnable rate": (
        TypeError,
        "a rate cannot be learned, .* the stddev of a GaussianDropout inst",
        lambda: jn.Dropout(jn.Learnable(0.5)),
    ),
    "noise without its strength": (
        TypeError,
        r"fn must be a noise function .*'stddev'; give it by functools.part",
        lambda: jn.Noise(jn.add_gaussian_noise),
    ),
    "noise without key": (
        TypeError,
        r"fn must be a noise function \(key, x\) -> x, .* too many positional",
        lambda: jn.Noise(lambda x: 2 * x),
    ),
    "layer in noise": (
        TypeError,
        r"fn must be a noise function \(key, x\) -> x, got a GaussianNoise",
        lambda: jn.Noise(jn.GaussianNoise(0.1)),
    ),
    "noise of another shape": (
        ValueError,
        r"noise must keep the shape of x, \(6, 3\), got \(1, 3\)",
        noise_of_another_shape,
    ),
    "noise without return": (
        TypeError,
        "Noise: noise must return an array like x, got NoneType",
        noise_without_return,
    ),
    "nnx layer without rngs": (
        ValueError,
        r"no 'noise' key stream: pass rngs=nnx.Rngs\(noise=0\) to the cons",
        lambda: jn.nnx.GaussianNoise(0.1)(X),
    ),
    "nnx layer with a key": (
        TypeError,
        r"rngs must be an nnx.Rngs, such as nnx.Rngs\(noise=0\), got an array",
        lambda: jn.nnx.GaussianNoise(0.1, rngs=KEY),
    ),
    "linen layer in an nnx module": (
        ValueError,
        "no 'noise' key stream: .*; for NNX there is jn.nnx.GaussianNoise",
        lambda: jn.GaussianNoise(0.1)(X, train=True),
    ),
    "nnx model of a module": (
        TypeError,
        r"factory must be .* lambda rngs: Net\(rngs=rngs\), got a OfNNX",
        lambda: jn.nnx.model(OfNNX(nnx.Rngs(0))),
    ),
    "nnx model without rngs": (
        TypeError,
        r"factory must be a function rngs -> module, .*too many positional arguments",
        lambda: jn.nnx.model(lambda: OfNNX(nnx.Rngs(0))),
    ),
    "linen in nnx model": (
        TypeError,
        "factory must return an nnx.Module, got .* a Linen module is a model",
        lambda: jn.nnx.model(lambda rngs: jn.MLP((4,), 1)).init(KEY, X),
    ),
    # Models.
    "one width": (
        TypeError,
        r"features must be a sequence of widths such as \(500,\), got 500",
        lambda: jn.MLP(500, 1),
    ),
    "strength as noise": (
        TypeError,
        r"hidden_noise must be a noise layer such as jn.GaussianNoise\(0.1\)",
        lambda: jn.MLP((4,), 1, hidden_noise=0.1),
    ),
    "function as noise": (
        TypeError,
        "hidden_noise must be a noise layer .* got the function add_gaussia",
        function_as_noise,
    ),
    "class as noise": (
        TypeError,
        "hidden_noise must be a noise layer .* got the class GaussianNoise",
        lambda: jn.MLP((4,), 1, hidden_noise=jn.GaussianNoise),
    ),
    "activation by name": (
        TypeError,
        "activation must be a function such as flax.linen.relu, got 'relu'",
        lambda: jn.MLP((4,), 1, activation="relu"),
    ),
    "one row without axis": (
        ValueError,
        r"x must have rows and inputs, .* got shape \(3,\)",
        lambda: jn.MLP((4,), 1).init(KEY, X[0], train=False),
    ),
    "cnn without channels": (
        ValueError,
        r"x must have rows, .* and channels, such as .* got shape \(6, 3\)",
        lambda: jn.CNN((4,), 1).init(KEY, X, train=False),
    ),
    "kernel size as string": (
        TypeError,
        r"kernel_size must be an int of at least 1 or one an axis, .* '3'",
        lambda: jn.CNN((4,), 1, kernel_size="3"),
    ),
    "rnn without channels": (
        ValueError,
        r"x must be series of shape \(rows, steps, channels\) .* \(6, 3\)",
        lambda: jn.RNN((4,), 1).init(KEY, X, train=False),
    ),
    "lengths too long": (
        ValueError,
        "lengths must be from 0 to the number of steps, 5, got 6",
        lengths_too_long,
    ),
    "cell called": (
        TypeError,
        "cell must be a class of cells such as .*GRUCell, not yet called",
        lambda: jn.RNN((4,), 1, cell=nn.GRUCell(4)),
    ),
    # Recipes.
    "model without train": (
        TypeError,
        r"NoTrain.__call__ must take `train`, as in def __call__\(self, x, tr",
        lambda: recipe(model=NoTrain()),
    ),
    "class as model": (
        TypeError,
        r"model must be a Flax Linen module \(an instance, not its class\)",
        lambda: recipe(model=jn.MLP),
    ),
    "nnx module as model": (
        TypeError,
        r"an NNX module as jn.nnx.model\(lambda rngs: Net\(rngs=rngs\)\)",
        lambda: recipe(model=OfNNX(nnx.Rngs(0))),
    ),
    "optimizer not called": (
        TypeError,
        r"optimizer must be .* such as optax.adam\(1e-3\), got the function",
        lambda: recipe(optimizer=optax.adam),
    ),
    "loss by name": (
        TypeError,
        r"loss must be a function \(outputs, targets\) .* got 'mse'",
        lambda: recipe(loss="mse"),
    ),
    "metrics as list": (
        TypeError,
        r"metrics must map names to functions, such as {'accuracy': ",
        lambda: recipe(metrics=[jn.metrics.accuracy]),
    ),
    "layer as weight noise": (
        TypeError,
        r"weight_noise must be .* partial\(jn.tree_add_gaussian_noise, stdd",
        lambda: recipe(weight_noise=jn.GaussianNoise(0.1)),
    ),
    "label noise without rate": (
        TypeError,
        "label_noise must be .* 'rate'; give it by functools.partial",
        lambda: recipe(label_noise=jn.flip_labels),
    ),
    "loss that averages": (
        ValueError,
        r"loss must give one value a row, .* got shape \(\); the engine av",
        lambda: train_on(loss=lambda z, t: BCE(z, t).mean()),
    ),
    "loss of numpy": (
        TypeError,
        "loss must be a function that JAX can trace, .* with jax.numpy, in p",
        lambda: train_on(loss=lambda z, t: np.square(np.asarray(z) - t).mean(1)),
    ),
    "penalty a row": (
        ValueError,
        r"penalty must give one number, .* got shape \(6,\)",
        lambda: train_on(penalty=lambda apply, params, x: apply(params, x)[:, 0]),
    ),
    "targets without axis": (
        ValueError,
        r"^binary_cross_entropy: targets must have the shape of the outputs, \(6, "
        r"1\), got float32 of shape \(6,\); give y an axis, y\[:, None\]\.",
        lambda: train_on(y=Y[:, 0]),
    ),
    "targets without axis in a loss of ones own": (
        ValueError,
        r"^loss: targets must have the shape of the outputs, \(6, 1\), got int32 "
        r".*\(6,\); give y an axis, y\[:, None\]\.",
        lambda: train_on(
            y=Y[:, 0].astype(int), loss=lambda z, t: jnp.square(z - t).mean(1)
        ),
    ),
    "labels as floats in a loss of ones own": (
        ValueError,
        r"^loss: targets must have the shape of the outputs, \(6, 3\), or integer "
        r"class labels of shape \(6,\), got float32 .* cast y to int32",
        lambda: train_on(
            y=Y[:, 0], model=jn.MLP((4,), 3), loss=lambda z, t: SOFTMAX(z, t)
        ),
    ),
    "labels as floats": (
        ValueError,
        r"^softmax_cross_entropy: targets must be .* got float32 of shape \(6,\); "
        r"cast y",
        labels_as_floats,
    ),
    "labels as column": (
        ValueError,
        r"targets must be .* got int32 of shape \(6, 1\); drop y's last axis",
        lambda: train_on(y=LABELS[:, None], model=jn.MLP((4,), 3), loss=SOFTMAX),
    ),
    "one hot of other classes": (
        ValueError,
        r"targets must be .* probabilities of shape \(6, 3\), got .* \(6, 4\)",
        lambda: train_on(y=np.eye(4)[LABELS], model=jn.MLP((4,), 3), loss=SOFTMAX),
    ),
    "accuracy of one output": (
        ValueError,
        "accuracy: logits must have two or more classes .*binary_accuracy",
        lambda: train_on(metrics={"accuracy": jn.metrics.accuracy}),
    ),
    "classes of one output": (
        ValueError,
        "^softmax_cross_entropy: logits must have two or more classes .* give the "
        "model an output a class, outputs=3 for three",
        lambda: train_on(y=LABELS, loss=SOFTMAX),
    ),
    "binary loss of classes": (
        ValueError,
        r"^binary_cross_entropy: .* got int32 of shape \(6,\); several classes take "
        "jn.losses.softmax_cross_entropy, jn.metrics.accuracy",
        lambda: train_on(y=LABELS, model=jn.MLP((4,), 3)),
    ),
    "binary accuracy of classes": (
        ValueError,
        r"^binary_accuracy: .* got int32 of shape \(6,\); several classes take",
        binary_accuracy_of_classes,
    ),
    "binary loss of codes": (
        ValueError,
        "must be 0 or 1, or between, got 2; several classes take jn.loss",
        lambda: BCE(np.zeros((6, 1)), LABELS[:, None]),
    ),
    "labels from 1": (
        ValueError,
        "classes from 0 to 2 for 3 outputs, got 3; count classes from 0, or raise "
        "outputs to 4",
        lambda: softmax_sweep(LABELS + 1),
    ),
    "outputs too few": (
        ValueError,
        "classes from 0 to 1 for 2 outputs, got 2; raise outputs to 3",
        lambda: softmax_sweep(LABELS, outputs=2),
    ),
    "labels that are missing": (
        ValueError,
        "got -1, which pandas.factorize gives to missing labels: drop tho",
        lambda: softmax_sweep(pd.factorize(pd.Series(["a", None, "b"] * 2))[0]),
    ),
    "labels of minus 1": (
        ValueError,
        r"targets must be 0 or 1, or between, got -1.* \(y > 0\) makes them",
        labels_of_minus_1,
    ),
    # One run, and sweeps.
    "recipe that is no function": (
        TypeError,
        "recipe must be a function strength -> Recipe, .* got a Recipe.$",
        lambda: train(recipe()),
    ),
    "recipe without strength": (
        TypeError,
        "strength -> Recipe, .* cannot be called so: too many positional",
        lambda: train(lambda: recipe()),
    ),
    "recipe without return": (
        TypeError,
        "recipe must return a jn.Recipe, got None",
        lambda: train(lambda _: None),
    ),
    "recipe with an if": (
        TypeError,
        "make no Python choice by the strength, .* is a placement of its own",
        lambda: train(
            lambda s: recipe(jn.GaussianNoise(s) if s > 0 else None),
            strength=jnp.ones(()),
        ),
    ),
    "run of a seed": (
        TypeError,
        r"key must be a typed key, jax.random.key\(seed\), got 0",
        lambda: train(key=0),
    ),
    "run on a tuple": (
        TypeError,
        r"data must be a jn.Data, such as jn.Data\(train=\(x, y\)\), got ",
        lambda: train(data=(X, Y)),
    ),
    "recipes as list": (
        TypeError,
        "recipes must map placements to functions .* such as {'none': lambda",
        lambda: sweep([lambda _: recipe()]),
    ),
    "recipes called": (
        TypeError,
        r"recipes\['none'\] must be a function strength -> Recipe, .* a Recip",
        lambda: sweep({"none": recipe()}),
    ),
    "placement misspelt": (
        ValueError,
        r"strengths must name placements of recipes \(none, hidden\), got 'hi",
        lambda: sweep(strengths={"hiden": [0.1]}),
    ),
    "strengths as list": (
        TypeError,
        r"strengths must map placements to strengths, such as {'hidden': ",
        lambda: sweep(strengths=[0.1, 0.3]),
    ),
    "strengths as strings": (
        TypeError,
        r"strengths\['hidden'\] must be numbers, got '0.1'",
        lambda: sweep(strengths={"hidden": ["0.1"]}),
    ),
    "sweep on a tuple": (
        TypeError,
        r"data must be a jn.Data, such as jn.Data\(train=\(x, y\), test=",
        lambda: sweep(data=(X, Y)),
    ),
    "data not called": (
        TypeError,
        "data must be a jn.Data, .* got the function circles",
        lambda: sweep(data=jn.data.circles),
    ),
    "no seeds": (ValueError, "seeds must be at least 1, got 0", lambda: sweep(seeds=0)),
    "key as seeds": (
        TypeError,
        "seeds must be an int or ints, got an array of key",
        lambda: sweep(seeds=KEY),
    ),
    "half an epoch": (
        ValueError,
        "epochs must be an int of at least 1, got 0.5",
        lambda: sweep(epochs=0.5),
    ),
    "batch size negative": (
        ValueError,
        "batch_size must be an int of at least 1, got -1",
        lambda: sweep(batch_size=-1),
    ),
    "curves of no set": (
        ValueError,
        r"curves must name sets of the data \(train, test\), got 'valid'",
        lambda: sweep(curves=["train", "valid"]),
    ),
    "keep params none": (
        TypeError,
        r"keep_params must be True, False or the seeds to keep, such as \[0",
        lambda: sweep(keep_params=None),
    ),
    "progress by name": (
        TypeError,
        r"progress must be None, a bool or a function \(done, total\), got",
        lambda: sweep(progress="bar"),
    ),
    "all cores late": (
        RuntimeError,
        "too late, JAX has started; .* in a notebook, restart the kernel fir",
        all_cores_late,
    ),
    "gradient noise without key": (
        TypeError,
        r"optimizer.update\(grads, state, params, key=key\)",
        gradient_noise_without_key,
    ),
    # Data.
    "data without targets": (
        TypeError,
        r"train must be a pair \(x, y\), got an array of float32 and shape",
        lambda: jn.Data(train=X),
    ),
    "targets none": (
        TypeError,
        r"train must be a pair \(x, y\) of arrays, got one without any",
        lambda: jn.Data(train=(X, None)),
    ),
    "rows that differ": (
        ValueError,
        r"x and y must have the same number of rows, .*\(6, 3\), \(3, 1\)",
        lambda: jn.Data(train=(X, Y[:3])),
    ),
    "x and y without a set": (
        TypeError,
        r"its sets by name, Data\(train=\(x, y\), .* got 2 without",
        lambda: jn.Data(X, Y),
    ),
    "sets without names": (
        TypeError,
        r"its sets by name, Data\(train=\(x, y\), .* got 2 without",
        lambda: jn.Data((X, Y), (X, Y)),
    ),
    "nan in data": (
        ValueError,
        "train must be finite, got 1 NaN .* of 18 in x, column 0; drop or im",
        nan_in_data,
    ),
    "nan in a frame": (
        ValueError,
        "got 5 NaN or infinite values of 12 in x, columns 'a', 'b'; drop or",
        nan_in_a_frame,
    ),
    "frame with words": (
        TypeError,
        r"got column 'b' of (object|str), such as 'red'; encode words by .*dummi",
        lambda: jn.Data(train=(pd.DataFrame({"a": 1.0, "b": [None] + ["red"] * 5}), Y)),
    ),
    "targets with words": (
        TypeError,
        r"got column 'kind' of .* such as 'cat'; .*factorize\(y\)\[0\], int",
        lambda: jn.Data(train=(X, pd.Series(["cat", "dog"] * 3, name="kind"))),
    ),
    "labels as words": (
        TypeError,
        r"must hold numbers, got <U3 in a ndarray; encode words by .*factorize",
        lambda: jn.Data(train=(X, np.array(["cat", "dog"] * 3))),
    ),
    "set of other columns": (
        ValueError,
        r"test must have the columns and types of train, x float32 \(3,\) and",
        lambda: jn.Data(train=(X, Y), test=(X[:, :2], Y)),
    ),
    "set that is not there": (
        AttributeError,
        "Data has no set named 'validation', but train, test",
        set_that_is_not_there,
    ),
    "set misspelt": (
        KeyError,
        "Data has no set named 'valid', but train, test",
        lambda: DATA["valid"],
    ),
    "train size as share": (
        TypeError,
        "train_size must be an int, got 0.3",
        lambda: jn.data.circles(train_size=0.3),
    ),
    "noise of a task as string": (
        ValueError,
        "noise must be finite and >= 0, got '0.1'",
        lambda: jn.data.circles(noise="0.1"),
    ),
    "draws of data": (
        TypeError,
        "make must be a function .* such as jn.data.circles, got Data",
        lambda: jn.data.draws(DATA, 3),
    ),
    # What the runs show.
    "metric misspelt": (
        ValueError,
        r"metric must be a column of the runs \(placement, .*\), got 'test_ac",
        lambda: jn.compare(RUNS, metric="test_acuracy"),
    ),
    "metric without its set": (
        ValueError,
        "got 'accuracy'; give it with its set: 'test_accuracy' or "
        "'best_test_accuracy'.$",
        lambda: jn.compare(RUNS.assign(best_test_accuracy=0.5), metric="accuracy"),
    ),
    "baseline that is not there": (
        ValueError,
        r"baseline must be one of the placements \(none, input\), got 'base'",
        lambda: jn.compare(RUNS, metric="test_accuracy", baseline="base"),
    ),
    "compare a number": (
        TypeError,
        "result_or_table must be a SweepResult or a pandas table, got int",
        lambda: jn.compare(3, metric="test_accuracy"),
    ),
    "compare a file that is not there": (
        jn.StoreError,
        "store runs.csv: there is no such file",
        lambda: jn.compare("runs.csv", metric="test_accuracy"),
    ),
    "compare with a seed": (
        TypeError,
        r"key must be a typed key, jax.random.key\(seed\), got 0",
        lambda: jn.compare(RUNS, metric="test_accuracy", key=0),
    ),
    "runs twice": (
        ValueError,
        r"runs must differ in seed or split, got repeats in none 0",
        lambda: jn.compare(pd.concat([RUNS, RUNS]), metric="test_accuracy"),
    ),
    "strengths as dicts": (
        ValueError,
        "column 'strength' must hold numbers or names, .* 'strength.input'",
        strengths_as_dicts,
    ),
    "scores as texts": (
        ValueError,
        "must be a column of numbers, got 'test_accuracy' .* pandas.to_num",
        lambda: jn.compare(RUNS.astype({"test_accuracy": str}), metric="test_accuracy"),
    ),
    "select without validation": (
        ValueError,
        "got 'validation_accuracy'; .* a sweep measures the sets of its data",
        lambda: jn.select(RUNS),
    ),
    "select with validation spelt as in keras": (
        ValueError,
        "got 'validation_accuracy'; there is choose_on='val'.$",
        lambda: jn.select(RUNS.assign(val_accuracy=0.5, train_accuracy=0.5)),
    ),
    "select by a whole name": (
        ValueError,
        "got 'validation_test_accuracy'; metric is a name without its set's",
        lambda: jn.select(RUNS, metric="test_accuracy"),
    ),
    "seeds needed of nothing": (
        ValueError,
        "seeds_needed takes sd or result_or_table, got neither",
        lambda: jn.seeds_needed(0.01),
    ),
    "figure of no metric": (
        ValueError,
        r"metric must be a column of the runs \(placement, .*\), got 'loss'",
        lambda: jn.plots.strength_curve(RUNS, metric="loss"),
    ),
    "figure with a colour": (
        TypeError,
        "strength_curve must be given its own arguments and, .* got 'color'",
        lambda: jn.plots.strength_curve(RUNS, metric="test_accuracy", color="red"),
    ),
    "figure as axes": (
        TypeError,
        r"ax must be axes of matplotlib, plt.subplots\(\)\[1\], got",
        figure_as_axes,
    ),
    "curves of a table": (
        TypeError,
        "result must be a SweepResult, which has curves, got DataFrame",
        lambda: jn.plots.learning_curves(RUNS, metric="accuracy"),
    ),
    "curves of a whole name": (
        ValueError,
        r"must have curves \(test_.*; give it without its set: 'accuracy'",
        curves_of_a_whole_name,
    ),
    "regions of one function": (
        TypeError,
        r"logits must map titles to functions, such as {'model': function}",
        lambda: jn.plots.decision_regions(lambda x: x, DATA),
    ),
    "report arguments swapped": (
        TypeError,
        "path must be a path, got DataFrame",
        lambda: jn.report("report.html", RUNS),
    ),
    "report of no metric": (
        ValueError,
        r"metric must be a column of the runs \(placement, .*\), got 'accurac",
        lambda: jn.report(RUNS, "report.html", metric="accuracy"),
    ),
    "describe without variables": (
        TypeError,
        r"variables must be those of model.init\(key, x, train=False\), got",
        lambda: jn.describe(jn.MLP((4,), 1), None, X, KEY),
    ),
    "noise stripped from a recipe": (
        TypeError,
        "model must be a Flax Linen module .* got a Recipe",
        lambda: jn.strip_noise(recipe()),
    ),
    "loss that would broadcast": (
        ValueError,
        r"targets must have the shape .* \(6, 1\), .* y an axis, y\[:, None\]",
        lambda: jn.losses.squared_error(Y, Y[:, 0]),
    ),
}


@pytest.mark.bad_input
@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name):
    error, message, written = MISTAKES[name]
    with pytest.raises(error, match=message) as caught:
        written()
    assert type(caught.value) is error, "an error of its own kind"
    (line,) = str(caught.value).splitlines()
    assert len(line) < 320
    assert " at 0x" not in line


@pytest.mark.bad_input
def test_errors_while_tracing_name_the_placement():
    def two_places(stddev):
        return recipe(jn.GaussianNoise(stddev["hidden"]))

    with pytest.raises(TypeError) as caught:
        sweep({"none": two_places, "hidden": two_places}, strengths={})
    told = "In the placement 'none', at strength 0.0; placements that strengths does "
    assert any(note.startswith(told) for note in caught.value.__notes__)


@pytest.mark.bad_input
def test_key_used_twice():
    """JAX tells of it on request; layers fold keys first, which it does not follow."""
    with jax.debug_key_reuse(True):
        first, second = jax.random.split(jax.random.key(1))
        noisy = jn.add_gaussian_noise(first, X, 0.1)
        jn.add_gaussian_noise(second, noisy, 0.1)
        with pytest.raises(jax.errors.KeyReuseError, match="-consumed key"):
            jn.add_gaussian_noise(first, X, 0.1)
