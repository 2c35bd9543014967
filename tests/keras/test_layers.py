"""Keras layers: Keras' conventions, and what Keras' own do not do."""

from functools import partial

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras.src.testing import TestCase

import jaxnoise as jn

K = jn.keras
LAYERS = {
    "GaussianNoise": partial(K.GaussianNoise, 2.5),
    "GaussianDropout": partial(K.GaussianDropout, 0.3),
    "Dropout": partial(K.Dropout, 0.3, noise_shape=(None, 1, None)),
    "AlphaDropout": partial(K.AlphaDropout, 0.3),
    "SaltAndPepperNoise": partial(K.SaltAndPepperNoise, 0.3, low=-1.0, high=1.0),
    "CorrelatedNoise": partial(K.CorrelatedNoise, 1.5, correlation=0.9, axis=1),
    "Noise": partial(K.Noise, partial(jn.add_gaussian_noise, stddev=0.5)),
}
X = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("float32")
EACH = pytest.mark.parametrize("name", LAYERS)


def of(layer, key, x, **given):
    """With the draws of a key."""
    (variable,) = layer.variables
    words = jax.random.key_data(key)
    with keras.StatelessScope([(variable, words)]):
        return layer(x, training=True, **given)


def test_all_layers_are_here():
    assert {*LAYERS, "load", "model", "recipe"} == set(dir(K))


@EACH
def test_masks_types_and_switch(name):
    layer = LAYERS[name]()
    assert np.array_equal(layer(X), X)
    noisy = layer(X, training=True)
    assert noisy.shape == X.shape and noisy.dtype == X.dtype
    assert not np.array_equal(noisy, layer(X, training=True))  # fresh at every call
    mask = np.arange(6) < np.array([[2], [6], [0], [4]])
    masked = layer(X, training=True, mask=mask)
    assert np.array_equal(masked[~mask], X[~mask])
    assert not np.array_equal(masked[mask], X[mask])
    half = LAYERS[name](dtype="mixed_bfloat16")
    assert half(X, training=True).dtype == jnp.bfloat16
    assert not half.trainable_variables and not half.losses


@EACH
def test_saved_cloned_and_fitted(name, tmp_path):
    """Masks travel through the layer, and one of Keras' layers makes them."""
    layers = [keras.Input((6, 3)), keras.layers.Masking(), LAYERS[name](seed=3)]
    model = keras.Sequential([*layers, keras.layers.GlobalAveragePooling1D()])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = X.copy()
    x[:, 4:] = 0
    for other in (loaded, keras.models.clone_model(model)):
        given = [m.layers[-2].get_config() for m in (model, other)]
        assert repr(given[0]) == repr(given[1])
        np.testing.assert_array_equal(model(x), other(x))
    noisy = loaded.layers[-2](loaded.layers[0](x), training=True)
    assert np.array_equal(noisy[:, 4:], x[:, 4:])


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "Noise"])
def test_strengths_may_be_traced(name):
    """Mapped over, and exact at 0; the draws are those of the functions."""
    made, key = LAYERS[name], jax.random.key(5)
    strengths = jnp.array([0.0, 0.1, 0.4])

    def noisy(strength):
        layer = made.func(strength, *made.args[1:], **made.keywords)
        return of(layer, key, X)

    out = jax.jit(jax.vmap(noisy))(strengths)
    np.testing.assert_allclose(out[0], X, atol=1e-6)
    np.testing.assert_allclose(out[2], noisy(0.4), atol=1e-6)
    assert not np.allclose(out[1], out[2])


def test_the_draws_are_those_of_the_functions(key):
    ours = of(K.GaussianNoise(3.0), key, X)
    assert np.array_equal(ours, jn.add_gaussian_noise(key, X, 3.0))
    gradient = jax.grad(lambda x: of(K.GaussianDropout(0.2), key, x).sum())(X)
    np.testing.assert_allclose(gradient, of(K.GaussianDropout(0.2), key, 0 * X + 1))


class TestAsKerasOwn(TestCase):
    """What Keras tests of its noise layers."""

    @pytest.mark.filterwarnings("ignore:.shuffle=True. was passed")
    def test_basics(self):
        for layer, strength in {
            K.GaussianNoise: {"stddev": 0.2},
            K.GaussianDropout: {"rate": 0.2},
            K.AlphaDropout: {"rate": 0.2},
        }.items():
            self.run_layer_test(
                layer,
                init_kwargs=strength,
                input_shape=(2, 3),
                call_kwargs={"training": True},
                expected_output_shape=(2, 3),
                expected_num_trainable_weights=0,
                expected_num_non_trainable_weights=0,
                expected_num_seed_generators=1,
                expected_num_losses=0,
                supports_masking=True,
                assert_built_after_instantiation=True,
            )

    def test_correctness(self):
        """Within five standard errors, where Keras has wide tolerances."""
        ones, n = np.ones((20, 500), "float32"), 10_000
        noisy = K.GaussianNoise(0.3, seed=1337)(ones, training=True)
        assert abs(np.std(noisy) / 0.3 - 1) < 5 / (2 * n) ** 0.5
        noisy = K.GaussianDropout(0.3, seed=1337)(ones, training=True)
        stddev = (0.3 / 0.7) ** 0.5
        assert abs(np.std(noisy) / stddev - 1) < 5 / (2 * n) ** 0.5
        noisy = np.asarray(K.AlphaDropout(0.3, seed=1337)(ones, training=True))
        assert abs(np.mean(noisy == noisy.min()) - 0.3) < 5 * (0.21 / n) ** 0.5

    def test_partial_noise_shapes(self):
        for shape in ((20, 1, 10), (None, 1, None)):
            x = np.ones((20, 5, 10), "float32")
            for layer in (K.AlphaDropout, K.Dropout):
                out = layer(0.5, noise_shape=shape, seed=1)(x, training=True)
                self.assertAllClose(out[:, 0], out[:, 1])

    def test_same_seed_same_draws(self):
        first, second = (K.GaussianNoise(1.0, seed=7)(X, training=True) for _ in "ab")
        self.assertAllClose(first, second)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: K.GaussianNoise(-0.1), ValueError, "stddev must be finite and >= 0"),
        (lambda: K.GaussianNoise("0.1"), TypeError, "stddev must be a number"),
        (lambda: K.GaussianDropout(1.0), ValueError, "rate must be below 1"),
        (lambda: K.AlphaDropout(1.5), ValueError, "rate must be from 0 to 1"),
        (lambda: K.Noise(0.1), TypeError, "fn must be a noise function"),
        (
            lambda: K.Dropout(0.5, noise_shape=(2, None))(X, training=True),
            ValueError,
            "noise_shape must have None, 1 or x's own size",
        ),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.slow
def test_described_and_stripped(key, tmp_path):
    """In a nested functional model with layers of both kinds; the model stays."""
    inputs = keras.Input((6, 3))
    inner = keras.Sequential([keras.Input((6, 3)), K.GaussianNoise(2.0, name="inner")])
    x = keras.layers.GaussianNoise(0.5)(keras.layers.Dense(3)(inner(inputs)))
    model = keras.Model(inputs, K.Dropout(0.5, name="outer")(x))
    table = jn.describe(model, None, X, key).set_index("noise")
    assert table["fired"].all() and {*table.index} == {"GaussianNoise", "Dropout"}
    assert abs(table.loc["GaussianNoise", "noise_sd"] / 2 - 1) < 5 / (2 * X.size) ** 0.5
    again = jn.describe(model, None, X, key).set_index("noise")
    assert table.equals(again)
    clean = jn.strip_noise(model)
    np.testing.assert_allclose(clean(X, training=True), model(X), atol=1e-6)
    assert len(clean.variables) == 2  # no seeds
    with pytest.raises(TypeError, match="Sequential or a functional model"):
        jn.strip_noise(keras.Model())
    with pytest.raises(TypeError, match="variables must be None for a Keras model"):
        jn.describe(model, {}, X, key)
    with pytest.raises(TypeError, match=r"a Keras model as jn.keras.model\(build\)"):
        jn.model.as_model(model)
