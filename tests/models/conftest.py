"""Weights without an initialiser, and noises that show where they enter."""

import jax
import numpy as np
import pytest

import jaxnoise as jn


@pytest.fixture(scope="session")
def drawn_variables():
    """A model's variables, drawn at random: biases too, and nothing is compiled."""

    def draw(model, x, **arguments):
        shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), x, **arguments))
        generator = np.random.default_rng(0)
        return jax.tree.map(
            lambda leaf: 0.5 * generator.standard_normal(leaf.shape, leaf.dtype), shapes
        )

    return draw


@pytest.fixture
def shift():
    """Noise without randomness: ``shift(amount)`` adds it."""
    return lambda amount: jn.Noise(lambda key, x: x + amount)


@pytest.fixture
def recorded():
    """``recorded(log)`` is noise that appends to ``log`` what it draws."""

    def layer(log):
        def noise(key, x):
            draws = jax.random.normal(key, x.shape)
            # nn.scan refuses side effects
            return x + 0.1 * jax.pure_callback(logged, draws, draws)

        def logged(draws):
            log.append(np.asarray(draws))
            return log[-1]

        return jn.Noise(noise)

    return layer
