"""Certificates of digits, the plain passes in them, and a curve of noise on circles."""

from functools import partial
from typing import Any

from worker import Contender, Options, compiled_by

STDDEV, BATCH, CHOOSING = 0.25, 500, 100


def network(options: Options) -> tuple[Any, Any, Any]:
    """A convolutional network, its first weights, and digits of 8 x 8 pixels."""
    import jax
    import jax.numpy as jnp

    import jaxnoise as jn

    x = jnp.asarray(jn.data.digits().test[0][: options["points"]])
    model = jn.CNN((16, 32), 10)
    return model, model.init(jax.random.key(0), x, train=False), x


def certificates(options: Options) -> Contender:
    """By `jaxnoise.certify`."""
    import jax

    import jaxnoise as jn
    from jaxnoise.training.sweep import TrainedModel

    jn.use_all_cores()
    model, variables, x = network(options)
    ask: Any = {"stddev": STDDEV, "key": jax.random.key(1), "n": options["n"]}
    trained = TrainedModel(model, variables)

    def repeat() -> float:
        return float((jn.certify(trained, x, n0=CHOOSING, **ask)["label"] < 0).mean())

    little = ask | {"n": 1}
    return repeat, compiled_by(lambda: jn.certify(trained, x, n0=1, **little))


def passes(options: Options) -> Contender:
    """As many noisy copies by calls of a compiled pass, with their draws and counts."""
    import jax
    import jax.numpy as jnp

    import jaxnoise as jn

    model, variables, x = network(options)

    @jax.jit
    def votes(key: Any, x: Any) -> Any:
        copies = jnp.broadcast_to(x, (BATCH, *x.shape))
        noisy = jn.add_gaussian_noise(key, copies, STDDEV)
        logits = model.apply(variables, noisy, train=False)
        return jnp.bincount(logits.argmax(1), length=10)

    batches = -(-(CHOOSING + options["n"]) // BATCH)
    keys = jax.random.split(jax.random.key(1), batches)

    def repeat() -> int:
        counts = [sum(votes(key, point) for key in keys) for point in x]
        return int(jnp.stack(counts).max())

    return repeat, compiled_by(lambda: votes(keys[0], x[0]).block_until_ready())


def noise_curve(options: Options) -> Contender:
    """By `jaxnoise.noise_curve`, of perceptrons with 500 units."""
    import jax
    import numpy as np

    import jaxnoise as jn
    from jaxnoise.training.sweep import TrainedModel

    jn.use_all_cores()
    pair = jn.data.circles(population=options["rows"])["population"]
    model = jn.MLP((500,), 1)
    init = partial(model.init, x=pair[0][:1], train=False)
    models = {
        f"{i}": TrainedModel(model, dict(init(jax.random.key(i))))
        for i in range(options["runs"])
    }
    levels = np.linspace(0, 1, options["strengths"]).tolist()

    def repeat(draws: int = options["draws"]) -> float:
        key = jax.random.key(1)
        found = jn.noise_curve(models, pair, levels, key=key, draws=draws)
        return float(found.runs["accuracy"].mean())

    return repeat, compiled_by(lambda: repeat(1))


CONTENDERS = {
    "jaxnoise": certificates,
    "plain passes": passes,
    "noise curve": noise_curve,
}
