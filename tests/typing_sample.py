"""What a type checker must know of a user's program; mypy reads it, nothing runs it."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import jaxnoise as jn


class Net(nnx.Module):
    def __init__(self, stddev: float, *, rngs: nnx.Rngs) -> None:
        self.dense = nnx.Linear(8, 10, rngs=rngs)
        self.noise = jn.nnx.GaussianNoise(stddev, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        noisy = self.noise(self.dense(x))
        return noisy.mean(axis=0) + noisy[0]


def strength_of_a_layer(net: Net) -> None:
    net.noise.stddev[...] = 0.2
    jn.nnx.GaussianDropout(0.1, rngs=nnx.Rngs(0)).rate[...] = 0.2


def layer_of_linen(x: jax.Array) -> jax.Array:
    return jn.GaussianNoise(0.1)(x, train=False)[0]


def stripped(net: Net) -> Net:
    return jn.strip_noise(net)


def recipe(stddev: float) -> jn.Recipe:
    return jn.Recipe(
        model=jn.nnx.model(lambda rngs: Net(stddev, rngs=rngs)),
        loss=jn.losses.softmax_cross_entropy,
        optimizer=optax.adam(1e-3),
    )


def typing_errors(key: jax.Array) -> None:
    """Each is one: an ignore that nothing needs is an error itself."""
    jn.GaussianNoize(0.1)  # type: ignore[attr-defined]
    jn.nnx.GaussianNoise(0.1, rng=nnx.Rngs(0))  # type: ignore[call-arg]
    jn.add_gaussian_noise(key, jnp.ones(3), "0.1")  # type: ignore[arg-type]
