"""The tutorial's noisy network: a training step with train and test accuracy.

Every contender trains the same model: 30 points, 500 units, ReLU, Adam, one full batch
an epoch, Gaussian noise at a site, and both accuracies after every epoch. The peers
start from the same weights. With ``check`` set all do, without noise, and return the
test loss of each epoch, which shows that they are the same. Seconds are per epoch and
run.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from worker import Contender, Options, compiled_by

UNITS, STDDEV, INPUT_STDDEV = 500, 0.1, 0.01
SETS = ("train", "test")
LEARNING_RATE = 1e-3


def problem(options: Options) -> tuple[list[Any], list[Any]]:
    """Train and test points; the first weights and biases of two layers."""
    with np.load(options["problem"]) as arrays:
        sets = [(arrays[f"x_{kind}"], arrays[f"y_{kind}"]) for kind in SETS]
        kernels = [arrays["w1"], arrays["w2"]]
    return sets, [p for w in kernels for p in (w, np.zeros(w.shape[-1], np.float32))]


def epsilon(options: Options) -> float:
    """Adam's, which frameworks add before or after they correct the bias.

    Only a vanishing one makes them the same.
    """
    return 1e-12 if options.get("check") else 1e-7


def noises(site: str) -> dict[str, float]:
    """The standard deviation of the noise in each place."""
    places = {"both": ["input", "hidden"], "none": []}.get(site, [site])
    return {each: INPUT_STDDEV if each == "input" else STDDEV for each in places}


def logits(
    params: Any, x: Any, affine: Any, relu: Any, noisy: Callable[[Any, str], Any]
) -> Any:
    """The network with noise in some places, of the functions of a framework."""
    w1, b1, w2, b2 = params
    h = noisy(affine(b1, noisy(x, "input"), w1), "hidden")
    return affine(b2, noisy(relu(h), "activation"), w2)


def sweep_of(recipe: Any, data: Any, options: Options, **settings: Any) -> Any:
    """A sweep of one recipe over seeds, and strengths if there are several."""
    import jaxnoise as jn

    jn.use_all_cores()
    count = options.get("strengths", 1)
    return jn.sweep(
        {"noise": recipe},
        strengths={"noise": np.geomspace(0.01, 1, count)} if count > 1 else {},
        data=data,
        seeds=options["seeds"],
        epochs=options["epochs"],
        vectorize=options.get("vectorize", "auto"),
        **{"progress": False, "batch_size": 32} | settings,
    )


def sweeping(recipe: Any, data: Any, options: Options, **settings: Any) -> Contender:
    """A sweep as a repeat, which gives the result; the first of all compiles."""
    notes: dict[str, Any] = {}

    def repeat() -> Any:
        result = sweep_of(recipe, data, options, **settings)
        notes.setdefault("compile_seconds", result.compile_seconds)
        return result

    if options.get("warm", True):
        repeat()
    return repeat, notes


def tutorials(
    site: str,
    units: int,
    *,
    layer: Any = None,
    eps: float = 1e-7,
    stddevs: Any = None,
    **model: Any,
) -> Any:
    """The tutorial's recipe with noise at a site; further arguments are the model's."""
    import optax

    import jaxnoise as jn

    make = layer or jn.GaussianNoise
    stddevs = noises(site) if stddevs is None else stddevs
    model |= {f"{place}_noise": make(stddev) for place, stddev in stddevs.items()}
    made = jn.Recipe(
        model=jn.MLP((units,), 1, **model),
        loss=jn.losses.binary_cross_entropy,
        optimizer=optax.adam(LEARNING_RATE, eps=eps),
        metrics={"accuracy": jn.metrics.binary_accuracy},
    )
    return lambda strength: made


def jaxnoise(options: Options) -> Contender:
    """A sweep over seeds, on all cores."""
    import jaxnoise as jn

    sets, params = problem(options)
    more: dict[str, Any] = {}
    if options.get("check"):
        kernels = {w.shape: w for w in params}  # their shapes tell them apart
        more["kernel_init"] = lambda key, shape, dtype: kernels[shape]
    if options.get("plain"):
        more["layer"] = plain_layer
    repeat, notes = sweeping(
        tutorials(options["site"], UNITS, eps=epsilon(options), **more),
        jn.Data(**dict(zip(SETS, sets, strict=True))),
        options,
        curves=SETS if options.get("curves", True) else (),
    )

    def losses() -> Any:
        curves = repeat().curves
        return curves["test_loss"][0].tolist() if options.get("check") else None

    return losses, notes


def grid(options: Options) -> Contender:
    """Strengths of noise in one place, whose runs of a seed share what they draw."""
    import jaxnoise as jn

    sets, _ = problem(options)
    places = noises(options["site"])

    def recipe(strength: Any) -> Any:
        return tutorials(
            options["site"], UNITS, stddevs=dict.fromkeys(places, strength)
        )(0)

    data = jn.Data(**dict(zip(SETS, sets, strict=True)))
    repeat, notes = sweeping(recipe, data, options, curves=SETS)
    return lambda: repeat() and None, notes


def plain_layer(stddev: float) -> Any:
    """Gaussian noise by ``jax.random.normal`` in place of our sampler."""
    import jax

    import jaxnoise as jn

    normal = jax.random.normal
    return jn.Noise(lambda key, x: x + stddev * normal(key, x.shape, x.dtype))


def growing(options: Options) -> Contender:
    """A sweep over made-up points, of any size and on any number of CPU devices."""
    import jax

    import jaxnoise as jn

    if options.get("devices"):
        jax.config.update("jax_num_cpu_devices", options["devices"])
    generator = np.random.default_rng(0)
    x = generator.standard_normal((options["rows"], 2), np.float32)
    data = jn.Data(train=(x, (x[:, :1] * x[:, 1:] > 0).astype(np.float32)))
    every = options.get("metrics_every", 1)
    recipe = tutorials("hidden", options["units"])
    repeat, notes = sweeping(recipe, data, options, metrics_every=every)
    return lambda: repeat() and None, notes


def obvious_jax(options: Options) -> Contender:
    """What one writes in JAX: ``jit(vmap(scan))`` with ``jax.random.normal``."""
    import jax
    import jax.numpy as jnp
    import optax

    (train, test), first = jax.tree.map(jnp.asarray, problem(options))
    stddevs = noises(options["site"])
    optimizer = optax.adam(LEARNING_RATE, eps=epsilon(options))

    def network(params: Any, x: Any, key: Any) -> Any:
        def noisy(x: Any, place: str) -> Any:
            if place not in stddevs or key is None:
                return x
            own = jax.random.fold_in(key, 1) if place == "input" else key
            return x + stddevs[place] * jax.random.normal(own, x.shape)

        return logits(params, x, lambda b, x, w: x @ w + b, jax.nn.relu, noisy)

    def loss(params: Any, x: Any, y: Any, key: Any = None) -> Any:
        z = network(params, x, key)
        return optax.sigmoid_binary_cross_entropy(z, y).mean()

    def accuracy(params: Any, x: Any, y: Any) -> Any:
        return ((network(params, x, None) > 0) == (y > 0.5)).mean()

    def one_run(seed: Any) -> Any:
        key = jax.random.key(seed)

        def step(carry: Any, i: Any) -> Any:
            params, state = carry
            grads = jax.grad(loss)(params, *train, jax.random.fold_in(key, i))
            updates, state = optimizer.update(grads, state, params)
            params = optax.apply_updates(params, updates)
            scores = accuracy(params, *train), accuracy(params, *test)
            return (params, state), (*scores, loss(params, *test))

        carry = (first, optimizer.init(first))
        return jax.lax.scan(step, carry, jnp.arange(options["epochs"]))[1]

    program = jax.jit(jax.vmap(one_run))

    def repeat() -> Any:
        curves = jax.block_until_ready(program(jnp.arange(options["seeds"])))
        return curves[2][0].tolist() if options.get("check") else None

    return repeat, compiled_by(repeat)


def keras(options: Options) -> Contender:
    """``fit`` with the tutorial's layers."""
    import keras
    from keras import layers

    (train, test), first = problem(options)
    stack: list[Any] = [keras.Input((2,)), layers.Dense(UNITS)]
    stack += [layers.Activation("relu"), layers.Dense(1, activation="sigmoid")]
    for place, stddev in reversed(noises(options["site"]).items()):
        at = 1 + ("input", "hidden", "activation").index(place)
        stack.insert(at, layers.GaussianNoise(stddev))
    model = keras.Sequential(stack)
    model.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE, epsilon=epsilon(options)),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    model.set_weights(first)

    def fit(epochs: int) -> Any:
        return model.fit(*train, validation_data=test, epochs=epochs, verbose=0)

    epochs = options["epochs"]
    if options.get("check"):
        return lambda: fit(epochs).history["val_loss"], {}
    return lambda: fit(epochs) and None, compiled_by(lambda: fit(10))


def torch_batched(options: Options) -> Contender:
    """The loop with all seeds in one batched matrix product; ``seeds`` 0 is one run."""
    import torch

    torch.set_num_threads(options["threads"])
    torch.manual_seed(0)
    seeds, check = options["seeds"], options.get("check")
    sets, first = problem(options)
    (x, y), test = ([torch.tensor(each) for each in pair] for pair in sets)
    batch, stddevs = (seeds,) * bool(seeds), noises(options["site"])
    params = []
    for each in map(torch.tensor, first):  # biases of a batch have an axis of rows
        own = each if each.ndim == 2 or not seeds else each[None]
        params.append(own.expand(*batch, *own.shape).clone().requires_grad_())
    affine = torch.baddbmm if seeds else torch.addmm
    adam = torch.optim.Adam(params, LEARNING_RATE, eps=epsilon(options), fused=True)
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits

    def network(x: Any, stddevs: dict[str, float]) -> Any:
        def noisy(x: Any, place: str) -> Any:
            return x + stddevs[place] * torch.randn_like(x) if place in stddevs else x

        return logits(params, x.expand(*batch, *x.shape), affine, torch.relu, noisy)

    def loss(z: Any, y: Any) -> Any:  # the sum over seeds keeps their gradients apart
        return cross_entropy(z, y.expand_as(z)) * max(seeds, 1)

    def run(epochs: int) -> Any:
        curve = []
        for _ in range(epochs):
            adam.zero_grad(set_to_none=True)
            loss(network(x, stddevs), y).backward()
            adam.step()
            with torch.no_grad():
                for inputs, targets in ((x, y), test):
                    z = network(inputs, {})
                    ((z > 0) == (targets > 0.5)).float().mean((-2, -1))
                if check:
                    curve.append(float(loss(z, targets)) / max(seeds, 1))
        return curve or None

    if not check:
        run(5)  # warm-up
    return lambda: run(options["epochs"]), {}


CONTENDERS = {
    "jaxnoise": jaxnoise,
    "grid": grid,
    "sweep": growing,
    "jit(vmap(scan))": obvious_jax,
    "Keras": keras,
    "PyTorch loop": lambda options: torch_batched({**options, "seeds": 0}),
    "PyTorch batched": torch_batched,
}
