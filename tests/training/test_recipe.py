"""What a recipe takes, and what it is told when a part does not fit."""

import inspect
import re
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

import jaxnoise as jn
from jaxnoise.model import as_model

PARTS = {
    "model": jn.MLP((8,), 1),
    "loss": jn.losses.binary_cross_entropy,
    "optimizer": optax.sgd(0.1),
}


class NoTrain(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(x)


class Half:
    def init(self, key, x):
        return {"params": {}}


def named(value):
    """An id that every process finds: without addresses."""
    return re.sub(r" at 0x\w+", "", str(value))


def test_parts_are_kept():
    recipe = jn.Recipe(**PARTS)
    assert recipe.model is PARTS["model"]
    assert recipe.metrics == {}
    assert recipe.weight_noise is recipe.label_noise is recipe.penalty is None


def test_linen_modules_fit_the_protocol(key):
    model = as_model(jn.MLP((4,), 2, hidden_noise=jn.GaussianNoise(0.5)))
    assert isinstance(model, jn.Model)
    x = jnp.ones((3, 2))
    variables = model.init(key, x)
    clean, same = model.apply(variables, x, train=False, key=None)
    noisy, carried = model.apply(variables, x, train=True, key=key)
    assert same is variables
    assert jax.tree.structure(carried) == jax.tree.structure(variables)
    assert not jnp.array_equal(clean, noisy)


def test_noise_and_dropout_have_streams_of_their_own(key):
    class Both(nn.Module):
        rate: float

        @nn.compact
        def __call__(self, x, train):
            dropped = nn.Dropout(self.rate, deterministic=not train)(x)
            return jn.GaussianNoise(1.0)(x, train=train), dropped

    x = jnp.zeros(100)
    (one, _), _ = as_model(Both(0.1)).apply({"params": {}}, x, train=True, key=key)
    (two, _), _ = as_model(Both(0.9)).apply({"params": {}}, x, train=True, key=key)
    assert jnp.array_equal(one, two)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": NoTrain()}, TypeError, r"NoTrain.__call__ must take `train`"),
        ({"model": jn.MLP}, TypeError, "an instance, not its class"),
        ({"model": Half()}, TypeError, r"must be a Flax Linen module .* or have init"),
        ({"loss": "mse"}, TypeError, "loss must be a function .* got 'mse'"),
        ({"optimizer": "adam"}, TypeError, "optimizer must be an Optax .* got 'adam'"),
        ({"metrics": ["accuracy"]}, TypeError, "metrics must map names to functions"),
        (
            {"metrics": {"a": 1}},
            TypeError,
            r"metrics\['a'\] must be a function .* got 1",
        ),
        (
            {"metrics": {"loss": jn.metrics.accuracy}},
            ValueError,
            "must not be named 'loss'",
        ),
        (
            {"weight_noise": 0.1},
            TypeError,
            "weight_noise must be a function .* got 0.1",
        ),
        ({"weight_gradient": "mean"}, ValueError, "weight_gradient .* got 'mean'"),
        ({"label_noise": 0.1}, TypeError, "label_noise must be a function .* got 0.1"),
        ({"batch_noise": 0.1}, TypeError, "batch_noise must be a function .* got 0.1"),
        ({"consistency": -0.1}, ValueError, "consistency must be finite and >= 0, got"),
        (
            {"consistency": 1.0, "loss": jn.losses.absolute_error},
            ValueError,
            "consistency must have one of the losses jn.losses.binary_cross_entropy, ",
        ),
        ({"penalty": 0.1}, TypeError, "penalty must be a function .* got 0.1"),
        ({"set_metrics": [len]}, TypeError, "set_metrics must map names .* got"),
        (
            {"set_metrics": {"a": 1}},
            TypeError,
            r"set_metrics\['a'\] must be a function",
        ),
        ({"set_metrics": {"loss": max}}, ValueError, "set_metrics must not be named"),
    ],
    ids=named,
)
def test_bad_parts(change, error, message):
    with pytest.raises(error, match=message):
        jn.Recipe(**PARTS | change)


ONES = np.ones((6, 1))


def squares(optimizer, **parts):
    """A recipe of a linear model."""
    return jn.Recipe(jn.MLP((), 1), jn.losses.squared_error, optimizer, **parts)


def traced(make, y=ONES):
    """The shapes that come out of a run of two steps, which is traced alone."""
    data = jn.Data(train=(np.ones((6, 2)), y))
    run = jn.make_train(make, epochs=1, batch_size=3)
    return jax.eval_shape(run, jax.random.key(0), jnp.float32(0.1), data)


# Optimisers


GIVEN = {  # what a constructor takes beside a learning rate
    "dpsgd": {"l2_norm_clip": 1.0, "noise_multiplier": 1.0, "seed": 0},
    "noisy_sgd": {"key": jax.random.key(0)},
    "schedule_free": {"base_optimizer": optax.sgd(0.1)},
}
REFUSED = {
    "dpsgd": r"update failed: .* batch dimension .* a gradient a row",
    "sophia": "update failed: obj_fn must be provided",
}


def constructors():
    for module in (optax, contrib):
        for name, make in vars(module).items():
            if not inspect.isfunction(make) or name.startswith(("_", "scale_by")):
                continue
            if "learning_rate" in inspect.signature(make).parameters:
                yield pytest.param(
                    partial(make, learning_rate=0.01, **GIVEN.get(name, {})),
                    REFUSED.get(name),
                    id=name,
                )


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
@pytest.mark.parametrize(("make", "refused"), list(constructors()))
def test_every_optimizer_of_optax_trains_or_is_refused(make, refused):
    if refused is None:
        traced(lambda _: squares(make()))
    else:
        with pytest.raises(TypeError, match=f"^optimizer must take .* {refused}"):
            traced(lambda _: squares(make()))


NOISY = jn.gradient_noise(0.1)
SGD = optax.sgd(0.1)


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.MultiSteps(optax.chain(NOISY, SGD), 2),
        optax.MultiSteps(optax.chain(NOISY, SGD), 2).gradient_transformation(),
        optax.MultiSteps(optax.polyak_sgd(), 2),
        optax.polyak_sgd(),
        optax.chain(NOISY, optax.lbfgs()),
        optax.chain(SGD, optax.scale_by_backtracking_linesearch(5)),
        optax.chain(SGD, contrib.reduce_on_plateau()),
        optax.apply_if_finite(optax.chain(NOISY, optax.polyak_sgd()), 3),
        optax.masked(optax.chain(NOISY, SGD), True),
        optax.partition({"a": optax.chain(NOISY, SGD)}, {"output": "a"}),
        contrib.sam(SGD, SGD),
        contrib.sam(SGD, SGD, opaque_mode=True),
        contrib.mechanize(optax.chain(NOISY, SGD)),
        optax.GradientTransformation(SGD.init, jax.jit(SGD.update)),
    ],
    ids=range(14),
)
def test_optimizers_get_what_they_ask_for_at_any_depth(optimizer):
    traced(lambda _: squares(optimizer))


def test_line_searches_see_the_loss_of_the_batch():
    """L-BFGS ends a problem of two weights in a few steps, with label noise or not."""
    x = np.array([[1.0, 0.5], [0.0, 1.0]])
    data = jn.Data(train=(x, x @ np.array([[2.0], [-1.0]])))
    shift = partial(jn.add_gaussian_noise, stddev=0.0)
    recipe = squares(optax.lbfgs(), label_noise=shift)
    run = jn.make_train(lambda _: recipe, epochs=8, batch_size=2, curves=())
    assert jax.jit(run)(jax.random.key(0), 0.0, data).metrics["train_loss"] < 1e-6


def test_noise_inside_accumulated_steps_is_that_of_the_second_step(key):
    """MultiSteps hands the key of the step on: w moves by the mean gradient and e."""
    from jaxnoise.training.keys import Keys

    data = jn.Data(train=(np.ones((4, 1)), np.zeros((4, 1))))
    noisy = optax.MultiSteps(optax.chain(jn.gradient_noise(1.0), optax.sgd(1.0)), 2)
    recipe = jn.Recipe(jn.MLP((), 1), lambda z, t: 0 * z[:, 0], noisy)
    run = jn.make_train(lambda _: recipe, epochs=1, batch_size=2, curves=())
    moved = jax.jit(run)(key, 0.0, data).params
    model = as_model(recipe.model)
    before = model.init(Keys.of_run(key, 0).init, data.train[0])["params"]
    second = jax.random.fold_in(Keys.of_run(key, 0).gradients, 1)
    zeros = jax.tree.map(jnp.zeros_like, before)
    for e, a, b in zip(
        *map(jax.tree.leaves, (jn.tree_add_gaussian_noise(second, zeros, 1.0),)),
        jax.tree.leaves(moved),
        jax.tree.leaves(before),
        strict=True,
    ):
        np.testing.assert_allclose(a, b - e, rtol=1e-5)


def broken(**parts):
    return optax.GradientTransformation(
        parts.get("init", SGD.init), parts.get("update", SGD.update)
    )


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (optax.lookahead(SGD, 5, 0.5), r"update failed: .*lookahead wants pairs of"),
        (
            contrib.sam(optax.chain(NOISY, SGD), SGD),
            r"update failed: gradient_noise needs a key .*sam none of them",
        ),
        (
            optax.chain(optax.MultiSteps(NOISY, 2).gradient_transformation()),
            "gradient_noise needs .* on to GradientTransformationExtraArgs alone",
        ),
        (broken(init=lambda params: 1 / 0), "its init failed: division by zero"),
        (broken(init=lambda params: float(params["output"]["bias"][0])), "its init"),
        (broken(update=lambda u, s, p=None: None), r"return .* got a NoneType\."),
        (
            broken(update=lambda u, s, p=None: (None, s)),
            r"form, a dict of .output., got a NoneType",
        ),
        (broken(update=lambda u, s, p=None: (u, s, 0)), r"return .* a tuple of 3"),
        (broken(update=lambda u, s, p=None: (u, 0)), r"form, a tuple of 2, got a int"),
    ],
    ids=range(9),
)
def test_optimizers_that_do_not_fit(optimizer, message):
    with pytest.raises(TypeError, match=f"^optimizer.* {message}"):
        traced(lambda _: squares(optimizer))


# What the functions of a recipe return


class Returns(nn.Module):
    """A linear module whose outputs are what a function makes of them."""

    change: object = staticmethod(lambda outputs: outputs)
    strength: object = 0.0

    @nn.compact
    def __call__(self, x, train):
        return self.change(nn.Dense(1)(x))


class Chooses(nn.Module):
    strength: object

    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(1)(x) if self.strength > 0 else x


def own_loss(outputs, targets):
    return (outputs - targets)[:, 0] ** 2


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"model": Returns(lambda z: (z, z))},
            "model must .* one array for loss, got a",
        ),
        (
            {"model": Returns(lambda z: (z, z)), "loss": own_loss},
            "operand .*\nIn loss of the recipe, which got a tuple of 2, an arr",
        ),
        (
            {"model": Returns(lambda z: {"a": z}), "loss": own_loss},
            "operand .*\nIn loss of the recipe, which got a dict of .a., an arr",
        ),
        ({"model": Returns(lambda z: None)}, "model must return outputs, got a None"),
        ({"loss": lambda z, t: None}, "loss must give one .* got a NoneType; the"),
        (
            {"loss": lambda z, t: list(z[:, 0])},
            "loss must give one .* got a list of 3;",
        ),
        ({"loss": lambda z, t: 1j * z[:, 0]}, "loss must give real .* got complex64"),
        ({"loss": lambda z, t: 0.5}, "loss must give one value a row, .* got a float"),
        (
            {"metrics": {"a": lambda z, t: None}},
            r"^metrics\[\'a\'\] must give one .* got a NoneType",
        ),
        (
            {"metrics": {"a": lambda z, t: (z,)}},
            r"^metrics\[\'a\'\] must give one .* got a tuple of 1",
        ),
        ({"penalty": lambda apply, p, x: None}, "penalty must give one number.* None"),
        (
            {"penalty": lambda apply, p, x: [1.0]},
            "penalty must give one .* a list of 1",
        ),
        (
            {"weight_noise": lambda key, p: None},
            "weight_noise must return what it gets .* got a NoneType",
        ),
        (
            {"weight_noise": lambda key, p: jax.tree.leaves(p)},
            "weight_noise must return .* a dict of 'Dense_0', got a list of 2",
        ),
        (
            {"weight_noise": lambda key, p: jax.tree.map(jnp.sum, p)},
            "weight_noise must return what it gets in its form",
        ),
        (
            {"label_noise": lambda key, y: None},
            "label_noise must return .* a NoneType",
        ),
        ({"label_noise": lambda key, y: [y]}, "label_noise must return .* a list of 1"),
        (
            {"batch_noise": lambda key, x, y: x},
            r"batch_noise must return \(x, y\), got an array",
        ),
        (
            {"batch_noise": lambda key, x, y: (x[:1], y)},
            "batch_noise must return what it gets in its form",
        ),
        ({"label_noise": lambda key, y: y[:1]}, r"label_noise must .* shape \(1, 1\)"),
        (
            {"model": Chooses},
            "model must be .* can trace, .* by the strength, which is",
        ),
    ],
    ids=range(21),
)
def test_functions_that_return_something_else(parts, message):
    """Each of the functions is named, and what it gave."""

    def make(strength):
        model = parts.get("model", Returns())
        model = model(strength) if isinstance(model, type) else model
        return jn.Recipe(
            **PARTS | {"loss": jn.losses.squared_error} | parts | {"model": model}
        )

    with pytest.raises((TypeError, ValueError), match=message):
        traced(make)


def test_a_loss_may_take_several_outputs_and_soft_labels():
    """What is refused above is not more than what cannot work."""
    both = Returns(lambda z: (z, z))
    traced(lambda _: jn.Recipe(both, lambda z, t: own_loss(z[0], t), SGD))
    traced(lambda _: squares(SGD, penalty=lambda apply, p, x: 0.0))
    classes = jn.losses.softmax_cross_entropy
    soft = {"label_noise": lambda key, y: jax.nn.one_hot(y, 3)}
    traced(lambda _: jn.Recipe(jn.MLP((), 3), classes, SGD, **soft), np.arange(6) % 3)
