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
MISTAKES = []


def mistake(error, message):
    """The function below is what someone wrote; its name says what is wrong."""

    def add(written):
        name = written.__name__.replace("_", " ").strip()
        MISTAKES.append(pytest.param(written, error, message, id=name))
        return written

    return add


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


# Noise functions: keys, strengths, arrays and masks.


@mistake(TypeError, r"key must be a typed key, jax.random.key\(seed\), .*wrap_key_data")
def legacy_key():
    add_noise_to(jax.random.PRNGKey(0), X, 0.1)


@mistake(TypeError, r"key must be a typed key, jax.random.key\(seed\), got 0")
def seed_as_key():
    add_noise_to(0, X, 0.1)


@mistake(TypeError, r"key must be a typed key, jax.random.key\(seed\), got a Generator")
def generator_of_numpy_as_key():
    add_noise_to(np.random.default_rng(0), X, 0.1)


@mistake(ValueError, r"key must be a single key, got an array of shape \(2,\)")
def split_keys_as_key():
    add_noise_to(jax.random.split(KEY), X, 0.1)


@mistake(TypeError, r"key must be a threefry2x32 key, got one of rbg; .*, impl='thre")
def key_of_another_generator():
    add_noise_to(jax.random.key(0, impl="rbg"), X, 0.1)


@mistake(TypeError, r"key must be .* got a Rngs of NNX; take a key .* rngs.noise\(\)")
def rngs_as_key():
    add_noise_to(nnx.Rngs(0), X, 0.1)


@mistake(TypeError, "x must be floating, got a key; the key comes first, then x")
def key_and_x_swapped():
    add_noise_to(X, KEY, 0.1)


@mistake(TypeError, "stddev must be a number or an array, got '0.1'")
def stddev_as_string():
    add_noise_to(KEY, X, "0.1")


@mistake(TypeError, "stddev must be a number or an array, got None")
def stddev_none():
    add_noise_to(KEY, X, None)


@mistake(ValueError, "stddev must be finite and >= 0, got -0.1")
def stddev_negative():
    add_noise_to(KEY, X, -0.1)


@mistake(ValueError, "stddev must be finite and >= 0, got nan")
def stddev_nan():
    add_noise_to(KEY, X, float("nan"))


@mistake(ValueError, r"stddev must broadcast against x of shape \(6, 3\), got .*\(6,\)")
def stddev_a_row():
    add_noise_to(KEY, X, np.full(6, 0.1))


@mistake(ValueError, "rate must be from 0 to 1, got 50")
def rate_in_percent():
    jn.drop_units(KEY, X, 50)


@mistake(TypeError, r"x must be floating, got uint8; cast it first, x.astype\('float32")
def images_of_bytes():
    add_noise_to(KEY, np.zeros((2, 8, 8), np.uint8), 0.1)


@mistake(TypeError, "x must be a floating array, got a dict")
def params_as_x():
    add_noise_to(KEY, {"kernel": X, "bias": X[0]}, 0.1)


@mistake(TypeError, "params must be floating, got int32 at .'step'.")
def counter_among_params():
    jn.tree_add_gaussian_noise(KEY, {"step": np.int32(0)}, 0.1)


@mistake(
    ValueError, r"stddev must be a number or a tree that params begin with, got .*b"
)
def stddevs_of_another_tree():
    jn.tree_add_gaussian_noise(KEY, {"a": X}, {"b": 0.1})


@mistake(ValueError, r"mask must have the shape of x, \(6, 3\), or .* got \(3,\)")
def mask_of_columns():
    add_noise_to(KEY, X, 0.1, mask=np.ones(3, bool))


@mistake(ValueError, r"leading axes, got \(6, 1\); drop its last axis, mask\[..., 0\]")
def mask_with_an_axis_more():
    add_noise_to(KEY, X, 0.1, mask=np.ones((6, 1), bool))


@mistake(TypeError, r"x must be floating, got complex64\.$")
def complex_x():
    add_noise_to(KEY, X.astype(np.complex64), 0.1)


@mistake(TypeError, r"mask must be boolean, got float32; cast it, mask.astype\(bool\)")
def mask_of_numbers():
    add_noise_to(KEY, X, 0.1, mask=np.ones(6, np.float32))


@mistake(ValueError, "shared_axes must name axes of x, which has 2, got 2")
def axes_from_1():
    add_noise_to(KEY, X, 0.1, shared_axes=2)


@mistake(
    TypeError, "sampler must be a function .* such as jax.random.laplace, got 'lap"
)
def sampler_by_name():
    jn.add_noise(KEY, X, 0.1, sampler="laplace")


@mistake(TypeError, "sampler must be a function .* got an array of float32 and shape")
def sampler_called():
    jn.add_noise(KEY, X, 0.1, sampler=jax.random.normal(KEY, (6, 3)))


@mistake(ValueError, "labels must be classes, not one-hot rows, .* take their argmax")
def one_hot_labels_flipped():
    jn.flip_labels(KEY, np.eye(3), 0.1, num_classes=3)


@mistake(ValueError, "low must not be above high, got 1.0 and 0.0")
def bounds_swapped():
    jn.clipped(jn.add_gaussian_noise, 1.0, 0.0)


@mistake(TypeError, r"fn must be a noise function \(key, x\) -> x, got a GaussianNoise")
def layer_clipped():
    jn.clipped(jn.GaussianNoise(0.1), 0.0, 1.0)


# Layers of Linen and NNX.


@mistake(ValueError, "GaussianNoise: train must be given, train=True for noise or")
def train_forgotten():
    jn.GaussianNoise(0.1).apply({}, X, rngs=RNGS)


@mistake(ValueError, "has no 'noise' key stream: pass rngs={'noise': key} to apply")
def rngs_forgotten():
    jn.GaussianNoise(0.1).apply({}, X, train=True)


@mistake(ValueError, "has no 'noise' key stream: pass rngs={'noise': key} to apply")
def rngs_for_dropout_alone():
    jn.Dropout(0.1).apply({}, X, train=True, rngs={"dropout": KEY})


@mistake(ValueError, "has no 'noise' key stream: .* init with train=False")
def init_in_training():
    jn.MLP((4,), 1, hidden_noise=jn.GaussianNoise(0.1)).init(KEY, X, train=True)


@mistake(ValueError, "has no 'noise' key stream: pass rngs={'noise': key} to apply")
def layer_called_as_in_keras():
    jn.GaussianNoise(0.1)(X, train=True)


@mistake(TypeError, "key must be a typed key, .*a legacy key: .*wrap_key_data types it")
def legacy_key_as_stream():
    rngs = {"noise": jax.random.PRNGKey(0)}
    jn.GaussianNoise(0.1).apply({}, X, train=True, rngs=rngs)


@mistake(ValueError, "train was given to the constructor and to the call; give it once")
def train_given_twice():
    jn.GaussianNoise(0.1, train=True).apply({}, X, train=True, rngs=RNGS)


@mistake(TypeError, "train must be a bool, got 'yes'")
def train_as_word():
    jn.GaussianNoise(0.1).apply({}, X, train="yes", rngs=RNGS)


@mistake(ValueError, "GaussianDropout: give rate or stddev, one of them, got 0.5 and 1")
def rate_and_stddev():
    jn.GaussianDropout(0.5, stddev=1.0)


@mistake(
    ValueError, r"pass mutable=\['noise'\] to apply .* variable_axes={'params': 0, 'n"
)
def schedule_without_mutable():
    layer = jn.GaussianNoise(optax.linear_schedule(1.0, 0.0, 10))
    layer.apply({}, X, train=True, rngs=RNGS)


@mistake(ValueError, r"learnable strength, .* with variables = init\(key, x, train=Fal")
def learnable_without_init():
    jn.GaussianNoise(jn.Learnable(0.5)).apply({}, X, train=True, rngs=RNGS)


@mistake(TypeError, "a rate cannot be learned, .* the stddev of a GaussianDropout inst")
def learnable_rate():
    jn.Dropout(jn.Learnable(0.5))


@mistake(
    TypeError, r"fn must be a noise function .*'stddev'; give it by functools.part"
)
def noise_without_its_strength():
    jn.Noise(jn.add_gaussian_noise)


@mistake(
    TypeError,
    r"fn must be a noise function \(key, x\) -> x, .* one argument and must take 2",
)
def noise_without_key():
    jn.Noise(lambda x: 2 * x)


@mistake(TypeError, r"fn must be a noise function \(key, x\) -> x, got a GaussianNoise")
def layer_in_noise():
    jn.Noise(jn.GaussianNoise(0.1))


@mistake(ValueError, r"noise must keep the shape of x, \(6, 3\), got \(1, 3\)")
def noise_of_another_shape():
    layer = jn.Noise(lambda key, x: x[:1])
    layer.apply({}, X, train=True, rngs=RNGS)


@mistake(TypeError, "Noise: noise must return an array like x, got NoneType")
def noise_without_return():
    layer = jn.Noise(lambda key, x: None)
    layer.apply({}, X, train=True, rngs=RNGS)


@mistake(
    ValueError, r"no 'noise' key stream: pass rngs=nnx.Rngs\(noise=0\) to the cons"
)
def nnx_layer_without_rngs():
    jn.nnx.GaussianNoise(0.1)(X)


@mistake(
    TypeError, r"rngs must be an nnx.Rngs, such as nnx.Rngs\(noise=0\), got an array"
)
def nnx_layer_with_a_key():
    jn.nnx.GaussianNoise(0.1, rngs=KEY)


@mistake(ValueError, "no 'noise' key stream: .*; for NNX there is jn.nnx.GaussianNoise")
def linen_layer_in_an_nnx_module():
    jn.GaussianNoise(0.1)(X, train=True)


@mistake(TypeError, r"factory must be .* lambda rngs: Net\(rngs=rngs\), got a OfNNX")
def nnx_model_of_a_module():
    jn.nnx.model(OfNNX(nnx.Rngs(0)))


@mistake(TypeError, r"factory must be a function rngs -> module, .*takes no argument")
def nnx_model_without_rngs():
    jn.nnx.model(lambda: OfNNX(nnx.Rngs(0)))


@mistake(
    TypeError, "factory must return an nnx.Module, got .* a Linen module is a model"
)
def linen_in_nnx_model():
    jn.nnx.model(lambda rngs: jn.MLP((4,), 1)).init(KEY, X)


# Models.


@mistake(TypeError, r"features must be a sequence of widths such as \(500,\), got 500")
def one_width():
    jn.MLP(500, 1)


@mistake(
    TypeError, r"hidden_noise must be a noise layer such as jn.GaussianNoise\(0.1\)"
)
def strength_as_noise():
    jn.MLP((4,), 1, hidden_noise=0.1)


@mistake(
    TypeError, "hidden_noise must be a noise layer .* got the function add_gaussia"
)
def function_as_noise():
    noise = partial(jn.add_gaussian_noise, stddev=0.1)
    jn.MLP((4,), 1, hidden_noise=noise)


@mistake(TypeError, "hidden_noise must be a noise layer .* got the class GaussianNoise")
def class_as_noise():
    jn.MLP((4,), 1, hidden_noise=jn.GaussianNoise)


@mistake(TypeError, "activation must be a function such as flax.linen.relu, got 'relu'")
def activation_by_name():
    jn.MLP((4,), 1, activation="relu")


@mistake(ValueError, r"x must have rows and inputs, .* got shape \(3,\)")
def one_row_without_axis():
    jn.MLP((4,), 1).init(KEY, X[0], train=False)


@mistake(
    ValueError, r"x must have rows, .* and channels, such as .* got shape \(6, 3\)"
)
def cnn_without_channels():
    jn.CNN((4,), 1).init(KEY, X, train=False)


@mistake(TypeError, r"kernel_size must be an int of at least 1 or one an axis, .* '3'")
def kernel_size_as_string():
    jn.CNN((4,), 1, kernel_size="3")


@mistake(ValueError, r"x must be series of shape \(rows, steps, channels\) .* \(6, 3\)")
def rnn_without_channels():
    jn.RNN((4,), 1).init(KEY, X, train=False)


@mistake(ValueError, "lengths must be from 0 to the number of steps, 5, got 6")
def lengths_too_long():
    lengths = np.array([5, 6])
    jn.RNN((4,), 1).init(KEY, np.ones((2, 5, 1)), train=False, lengths=lengths)


@mistake(TypeError, "cell must be a class of cells such as .*GRUCell, not yet called")
def cell_called():
    jn.RNN((4,), 1, cell=nn.GRUCell(4))


# Recipes.


@mistake(
    TypeError, r"NoTrain.__call__ must take `train`, as in def __call__\(self, x, tr"
)
def model_without_train():
    recipe(model=NoTrain())


@mistake(TypeError, r"model must be a Flax Linen module \(an instance, not its class\)")
def class_as_model():
    recipe(model=jn.MLP)


@mistake(TypeError, r"an NNX module as jn.nnx.model\(lambda rngs: Net\(rngs=rngs\)\)")
def nnx_module_as_model():
    recipe(model=OfNNX(nnx.Rngs(0)))


@mistake(
    TypeError, r"optimizer must be .* such as optax.adam\(1e-3\), got the function"
)
def optimizer_not_called():
    recipe(optimizer=optax.adam)


@mistake(TypeError, r"loss must be a function \(outputs, targets\) .* got 'mse'")
def loss_by_name():
    recipe(loss="mse")


@mistake(TypeError, r"metrics must map names to functions, such as {'accuracy': ")
def metrics_as_list():
    recipe(metrics=[jn.metrics.accuracy])


@mistake(
    TypeError, r"weight_noise must be .* partial\(jn.tree_add_gaussian_noise, stdd"
)
def layer_as_weight_noise():
    recipe(weight_noise=jn.GaussianNoise(0.1))


@mistake(TypeError, "label_noise must be .* 'rate'; give it by functools.partial")
def label_noise_without_rate():
    recipe(label_noise=jn.flip_labels)


@mistake(
    ValueError, r"loss must give one value a row, .* got shape \(\); the engine av"
)
def loss_that_averages():
    train_on(loss=lambda z, t: BCE(z, t).mean())


@mistake(
    TypeError, "loss must be a function that JAX can trace, .* with jax.numpy, in p"
)
def loss_of_numpy():
    train_on(loss=lambda z, t: np.square(np.asarray(z) - t).mean(1))


@mistake(ValueError, r"penalty must give one number, .* got shape \(6,\)")
def penalty_a_row():
    train_on(penalty=lambda apply, params, x: apply(params, x)[:, 0])


@mistake(
    ValueError,
    r"^binary_cross_entropy: targets must have the shape of the outputs, \(6, 1\), got "
    r"float32 of shape \(6,\); give y an axis, y\[:, None\]\.",
)
def targets_without_axis():
    train_on(y=Y[:, 0])


@mistake(
    ValueError,
    r"^loss: targets must have the shape of the outputs, \(6, 1\), got int32 .*\(6,\); "
    r"give y an axis, y\[:, None\]\.",
)
def targets_without_axis_in_a_loss_of_ones_own():
    train_on(y=Y[:, 0].astype(int), loss=lambda z, t: jnp.square(z - t).mean(1))


@mistake(
    ValueError,
    r"^loss: targets must have the shape of the outputs, \(6, 3\), or integer class "
    r"labels of shape \(6,\), got float32 .* cast y to int32",
)
def labels_as_floats_in_a_loss_of_ones_own():
    train_on(y=Y[:, 0], model=jn.MLP((4,), 3), loss=lambda z, t: SOFTMAX(z, t))


@mistake(
    ValueError,
    r"^softmax_cross_entropy: targets must be .* got float32 of shape \(6,\); cast y",
)
def labels_as_floats():
    y = LABELS.astype(np.float32)
    train_on(y=y, model=jn.MLP((4,), 3), loss=SOFTMAX)


@mistake(
    ValueError, r"targets must be .* got int32 of shape \(6, 1\); drop y's last axis"
)
def labels_as_column():
    train_on(y=LABELS[:, None], model=jn.MLP((4,), 3), loss=SOFTMAX)


@mistake(
    ValueError, r"targets must be .* probabilities of shape \(6, 3\), got .* \(6, 4\)"
)
def one_hot_of_other_classes():
    train_on(y=np.eye(4)[LABELS], model=jn.MLP((4,), 3), loss=SOFTMAX)


@mistake(ValueError, "accuracy: logits must have two or more classes .*binary_accuracy")
def accuracy_of_one_output():
    train_on(metrics={"accuracy": jn.metrics.accuracy})


@mistake(
    ValueError,
    "^softmax_cross_entropy: logits must have two or more classes .* give the model an "
    "output a class, outputs=3 for three",
)
def classes_of_one_output():
    train_on(y=LABELS, loss=SOFTMAX)


@mistake(
    ValueError,
    r"^binary_cross_entropy: .* got int32 of shape \(6,\); several classes take "
    "jn.losses.softmax_cross_entropy, jn.metrics.accuracy",
)
def binary_loss_of_classes():
    train_on(y=LABELS, model=jn.MLP((4,), 3))


@mistake(
    ValueError, r"^binary_accuracy: .* got int32 of shape \(6,\); several classes take"
)
def binary_accuracy_of_classes():
    parts = {"loss": SOFTMAX, "metrics": {"accuracy": jn.metrics.binary_accuracy}}
    train_on(y=LABELS, model=jn.MLP((4,), 3), **parts)


@mistake(ValueError, "must be 0 or 1, or between, got 2; several classes take jn.loss")
def binary_loss_of_codes():
    BCE(np.zeros((6, 1)), LABELS[:, None])


def softmax_sweep(labels, outputs=3):
    made = recipe(model=jn.MLP((4,), outputs), loss=SOFTMAX)
    sweep({"none": lambda _: made}, strengths={}, data=jn.Data(train=(X, labels)))


@mistake(
    ValueError,
    "classes from 0 to 2 for 3 outputs, got 3; count classes from 0, or raise outputs "
    "to 4",
)
def labels_from_1():
    softmax_sweep(LABELS + 1)


@mistake(ValueError, "classes from 0 to 1 for 2 outputs, got 2; raise outputs to 3")
def outputs_too_few():
    softmax_sweep(LABELS, outputs=2)


@mistake(ValueError, "got -1, which pandas.factorize gives to missing labels: drop tho")
def labels_that_are_missing():
    softmax_sweep(pd.factorize(pd.Series(["a", None, "b"] * 2))[0])


@mistake(
    ValueError, r"targets must be 0 or 1, or between, got -1.* \(y > 0\) makes them"
)
def labels_of_minus_1():
    data = jn.Data(train=(X, 2 * Y - 1))
    sweep({"none": lambda _: recipe()}, strengths={}, data=data)


# One run, and sweeps.


@mistake(TypeError, "recipe must be a function strength -> Recipe, .* got a Recipe.$")
def recipe_that_is_no_function():
    train(recipe())


@mistake(
    TypeError, "strength -> Recipe, .* it takes no argument and must take one argument"
)
def recipe_without_strength():
    train(lambda: recipe())


@mistake(TypeError, "recipe must return a jn.Recipe, got None")
def recipe_without_return():
    train(lambda _: None)


@mistake(
    TypeError, "make no Python choice by the strength, .* is a placement of its own"
)
def recipe_with_an_if():
    train(
        lambda s: recipe(jn.GaussianNoise(s) if s > 0 else None), strength=jnp.ones(())
    )


@mistake(TypeError, r"key must be a typed key, jax.random.key\(seed\), got 0")
def run_of_a_seed():
    train(key=0)


@mistake(TypeError, r"data must be a jn.Data, such as jn.Data\(train=\(x, y\)\), got ")
def run_on_a_tuple():
    train(data=(X, Y))


@mistake(
    TypeError, "recipes must map placements to functions .* such as {'none': lambda"
)
def recipes_as_list():
    sweep([lambda _: recipe()])


@mistake(
    TypeError, r"recipes\['none'\] must be a function strength -> Recipe, .* a Recip"
)
def recipes_called():
    sweep({"none": recipe()})


@mistake(
    ValueError, r"strengths must name placements of recipes \(none, hidden\), got 'hi"
)
def placement_misspelt():
    sweep(strengths={"hiden": [0.1]})


@mistake(TypeError, r"strengths must map placements to strengths, such as {'hidden': ")
def strengths_as_list():
    sweep(strengths=[0.1, 0.3])


@mistake(TypeError, r"strengths\['hidden'\] must be numbers, got '0.1'")
def strengths_as_strings():
    sweep(strengths={"hidden": ["0.1"]})


@mistake(TypeError, r"data must be a jn.Data, such as jn.Data\(train=\(x, y\), test=")
def sweep_on_a_tuple():
    sweep(data=(X, Y))


@mistake(TypeError, "data must be a jn.Data, .* got the function circles")
def data_not_called():
    sweep(data=jn.data.circles)


@mistake(ValueError, "seeds must be at least 1, got 0")
def no_seeds():
    sweep(seeds=0)


@mistake(TypeError, "seeds must be an int or ints, got an array of key")
def key_as_seeds():
    sweep(seeds=KEY)


@mistake(ValueError, "epochs must be an int of at least 1, got 0.5")
def half_an_epoch():
    sweep(epochs=0.5)


@mistake(ValueError, "batch_size must be an int of at least 1, got -1")
def batch_size_negative():
    sweep(batch_size=-1)


@mistake(ValueError, r"curves must name sets of the data \(train, test\), got 'valid'")
def curves_of_no_set():
    sweep(curves=["train", "valid"])


@mistake(
    TypeError, r"keep_params must be True, False or the seeds to keep, such as \[0"
)
def keep_params_none():
    sweep(keep_params=None)


@mistake(TypeError, r"progress must be None, a bool or a function \(done, total\), got")
def progress_by_name():
    sweep(progress="bar")


@mistake(
    RuntimeError, "too late, JAX has started; .* in a notebook, restart the kernel fir"
)
def all_cores_late():
    jnp.ones(())
    with (
        patch.object(devices, "core_count", lambda: 64),
        patch.object(devices, "_number_was_set", lambda: False),
    ):
        jn.use_all_cores()


@mistake(TypeError, r"optimizer.update\(grads, state, params, key=key\)")
def gradient_noise_without_key():
    optimizer = optax.chain(jn.gradient_noise(0.1), optax.sgd(1.0))
    optimizer.update(X, optimizer.init(X))


# Data.


@mistake(TypeError, r"train must be a pair \(x, y\), got an array of float32 and shape")
def data_without_targets():
    jn.Data(train=X)


@mistake(TypeError, r"train must be a pair \(x, y\) of arrays, got one without any")
def targets_none():
    jn.Data(train=(X, None))


@mistake(ValueError, r"x and y must have the same number of rows, .*\(6, 3\), \(3, 1\)")
def rows_that_differ():
    jn.Data(train=(X, Y[:3]))


@mistake(TypeError, r"its sets by name, Data\(train=\(x, y\), .* got 2 without")
def x_and_y_without_a_set():
    jn.Data(X, Y)


@mistake(TypeError, r"its sets by name, Data\(train=\(x, y\), .* got 2 without")
def sets_without_names():
    jn.Data((X, Y), (X, Y))


@mistake(
    ValueError, "train must be finite, got 1 NaN .* of 18 in x, column 0; drop or im"
)
def nan_in_data():
    x = X.copy()
    x[0, 0] = np.nan
    jn.Data(train=(x, Y))


@mistake(
    ValueError, "got 5 NaN or infinite values of 12 in x, columns 'a', 'b'; drop or"
)
def nan_in_a_frame():
    frame = pd.DataFrame({"a": [1, None] * 3, "b": [True, False, None] * 2})
    jn.Data(train=(frame.convert_dtypes(), Y))


@mistake(
    TypeError, r"got column 'b' of (object|str), such as 'red'; encode words by .*dummi"
)
def frame_with_words():
    jn.Data(train=(pd.DataFrame({"a": 1.0, "b": [None] + ["red"] * 5}), Y))


@mistake(
    TypeError, r"got column 'kind' of .* such as 'cat'; .*factorize\(y\)\[0\], int"
)
def targets_with_words():
    jn.Data(train=(X, pd.Series(["cat", "dog"] * 3, name="kind")))


@mistake(
    TypeError, r"must hold numbers, got <U3 in a ndarray; encode words by .*factorize"
)
def labels_as_words():
    jn.Data(train=(X, np.array(["cat", "dog"] * 3)))


@mistake(
    ValueError, r"test must have the columns and types of train, x float32 \(3,\) and"
)
def set_of_other_columns():
    jn.Data(train=(X, Y), test=(X[:, :2], Y))


@mistake(AttributeError, "Data has no set named 'validation', but train, test")
def set_that_is_not_there():
    x, y = DATA.validation


@mistake(KeyError, "Data has no set named 'valid', but train, test")
def set_misspelt():
    DATA["valid"]


@mistake(TypeError, "train_size must be an int, got 0.3")
def train_size_as_share():
    jn.data.circles(train_size=0.3)


@mistake(ValueError, "noise must be finite and >= 0, got '0.1'")
def noise_of_a_task_as_string():
    jn.data.circles(noise="0.1")


@mistake(TypeError, "make must be a function .* such as jn.data.circles, got Data")
def draws_of_data():
    jn.data.draws(DATA, 3)


# What the runs show.


@mistake(
    ValueError, r"metric must be a column of the runs \(placement, .*\), got 'test_ac"
)
def metric_misspelt():
    jn.compare(RUNS, metric="test_acuracy")


@mistake(
    ValueError,
    "got 'accuracy'; give it with its set: 'test_accuracy' or 'best_test_accuracy'.$",
)
def metric_without_its_set():
    jn.compare(RUNS.assign(best_test_accuracy=0.5), metric="accuracy")


@mistake(
    ValueError, r"baseline must be one of the placements \(none, input\), got 'base'"
)
def baseline_that_is_not_there():
    jn.compare(RUNS, metric="test_accuracy", baseline="base")


@mistake(TypeError, "result_or_table must be a SweepResult or a pandas table, got str")
def compare_a_file():
    jn.compare("runs.csv", metric="test_accuracy")


@mistake(TypeError, r"key must be a typed key, jax.random.key\(seed\), got 0")
def compare_with_a_seed():
    jn.compare(RUNS, metric="test_accuracy", key=0)


@mistake(ValueError, r"runs must differ in seed or split, got repeats in none 0")
def runs_twice():
    jn.compare(pd.concat([RUNS, RUNS]), metric="test_accuracy")


@mistake(
    ValueError, "column 'strength' must hold numbers or names, .* 'strength.input'"
)
def strengths_as_dicts():
    table = RUNS.assign(strength=[{"input": 0.1}] * len(RUNS))
    jn.compare(table, metric="test_accuracy")


@mistake(
    ValueError, "must be a column of numbers, got 'test_accuracy' .* pandas.to_num"
)
def scores_as_texts():
    jn.compare(RUNS.astype({"test_accuracy": str}), metric="test_accuracy")


@mistake(
    ValueError, "got 'validation_accuracy'; .* a sweep measures the sets of its data"
)
def select_without_validation():
    jn.select(RUNS)


@mistake(ValueError, "got 'validation_accuracy'; there is choose_on='val'.$")
def select_with_validation_spelt_as_in_keras():
    jn.select(RUNS.assign(val_accuracy=0.5, train_accuracy=0.5))


@mistake(
    ValueError, "got 'validation_test_accuracy'; metric is a name without its set's"
)
def select_by_a_whole_name():
    jn.select(RUNS, metric="test_accuracy")


@mistake(ValueError, "seeds_needed takes sd or result_or_table, got neither")
def seeds_needed_of_nothing():
    jn.seeds_needed(0.01)


@mistake(
    ValueError, r"metric must be a column of the runs \(placement, .*\), got 'loss'"
)
def figure_of_no_metric():
    jn.plots.strength_curve(RUNS, metric="loss")


@mistake(
    TypeError, "strength_curve must be given its own arguments and, .* got 'color'"
)
def figure_with_a_colour():
    jn.plots.strength_curve(RUNS, metric="test_accuracy", color="red")


@mistake(TypeError, r"ax must be axes of matplotlib, plt.subplots\(\)\[1\], got")
def figure_as_axes():
    figure = plt.figure()
    plt.close(figure)
    jn.plots.forest(RUNS, metric="test_accuracy", ax=figure)


@mistake(TypeError, "result must be a SweepResult, which has curves, got DataFrame")
def curves_of_a_table():
    jn.plots.learning_curves(RUNS, metric="accuracy")


@mistake(ValueError, r"must have curves \(test_.*; give it without its set: 'accuracy'")
def curves_of_a_whole_name():
    curves = {f"test_{name}": np.zeros((20, 1)) for name in ("accuracy", "loss")}
    result = jn.SweepResult(
        *(RUNS, curves, np.ones(1), (None,) * 20, True),
        compile_seconds=0.0,
        run_seconds=0.0,
        device="1 x cpu",
    )
    jn.plots.learning_curves(result, metric="test_accuracy")


@mistake(TypeError, r"logits must map titles to functions, such as {'model': function}")
def regions_of_one_function():
    jn.plots.decision_regions(lambda x: x, DATA)


@mistake(TypeError, "path must be a path, got DataFrame")
def report_arguments_swapped():
    jn.report("report.html", RUNS)


@mistake(
    ValueError, r"metric must be a column of the runs \(placement, .*\), got 'accurac"
)
def report_of_no_metric():
    jn.report(RUNS, "report.html", metric="accuracy")


@mistake(
    TypeError, r"variables must be those of model.init\(key, x, train=False\), got"
)
def describe_without_variables():
    jn.describe(jn.MLP((4,), 1), None, X, KEY)


@mistake(TypeError, "model must be a Flax Linen module .* got a Recipe")
def noise_stripped_from_a_recipe():
    jn.strip_noise(recipe())


@mistake(
    ValueError, r"targets must have the shape .* \(6, 1\), .* y an axis, y\[:, None\]"
)
def loss_that_would_broadcast():
    jn.losses.squared_error(Y, Y[:, 0])


@pytest.mark.bad_input
@pytest.mark.parametrize(("written", "error", "message"), MISTAKES)
def test_mistakes(written, error, message):
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
def test_enough_mistakes():
    assert len(MISTAKES) >= 40


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "noise",
    [
        partial(jn.add_gaussian_noise, stddev=0.1),
        partial(jn.drop_units, rate=0.1),
        partial(jn.add_noise, scale=0.1, sampler=jax.random.laplace),
    ],
    ids=["normal", "uniform", "sampler of JAX"],
)
def test_key_used_twice(noise):
    """JAX tells of it on request; layers fold keys first, which it does not follow."""
    with jax.debug_key_reuse(True):
        first, second = jax.random.split(jax.random.key(1))
        noise(second, noise(first, X))
        with pytest.raises(jax.errors.KeyReuseError, match="-consumed key"):
            noise(first, X)
