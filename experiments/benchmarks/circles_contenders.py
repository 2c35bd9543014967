"""The tutorial's noisy network: a training step with train and test accuracy.

Every contender trains the same model: 30 points, 500 units, ReLU, Adam, one full batch
an epoch, Gaussian noise at a site, and both accuracies after every epoch. With
``check`` set they start from the same weights without noise and return the test loss of
each epoch, which shows that they are the same. Seconds are per epoch and run.
"""

from typing import Any

import numpy as np
from worker import Contender, Options, compiled_by

UNITS, STDDEV, INPUT_STDDEV = 500, 0.1, 0.01
SETS = ("train", "test")
LEARNING_RATE = 1e-3


def problem(options: Options) -> dict[str, np.ndarray]:
    """The points and the first weights, from the file that all contenders read."""
    with np.load(options["problem"]) as arrays:
        return dict(arrays)


def epsilon(options: Options) -> float:
    """Adam's, which frameworks add before or after they correct the bias.

    Only a vanishing one makes them the same.
    """
    return 1e-12 if options.get("check") else 1e-7


def noises(site: str) -> dict[str, float]:
    """The standard deviation of the noise in each place."""
    places = {"both": ["input", "hidden"], "none": []}.get(site, [site])
    return {each: INPUT_STDDEV if each == "input" else STDDEV for each in places}


def sweeping(recipe: Any, data: Any, options: Options, **settings: Any) -> Contender:
    """A sweep as a repeat, which gives the result; the first of all compiles."""
    import jaxnoise as jn

    notes: dict[str, Any] = {}

    def repeat() -> Any:
        result = jn.sweep(
            {"noise": recipe},
            strengths={},
            data=data,
            seeds=options["seeds"],
            epochs=options["epochs"],
            vectorize=options.get("vectorize", "auto"),
            progress=False,
            **settings,
        )
        notes.setdefault("compile_seconds", result.compile_seconds)
        return result

    if options.get("warm", True):
        repeat()
    return repeat, notes


def tutorials(
    site: str, units: int, *, layer: Any = None, eps: float = 1e-7, **model: Any
) -> Any:
    """The tutorial's recipe with noise at a site; further arguments are the model's."""
    import optax

    import jaxnoise as jn

    make = layer or jn.GaussianNoise
    model |= {f"{place}_noise": make(stddev) for place, stddev in noises(site).items()}
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

    jn.use_all_cores()
    arrays = problem(options)
    more: dict[str, Any] = {}
    if options.get("check"):
        # the kernels' shapes tell them apart
        kernels = {arrays[name].shape: arrays[name] for name in ("w1", "w2")}
        more["kernel_init"] = lambda key, shape, dtype: kernels[shape]
    if options.get("plain"):
        more["layer"] = plain_layer
    data = {kind: (arrays[f"x_{kind}"], arrays[f"y_{kind}"]) for kind in SETS}
    repeat, notes = sweeping(
        tutorials(options["site"], UNITS, eps=epsilon(options), **more),
        jn.Data(**data),
        options,
        batch_size=32,
        curves=SETS if options.get("curves", True) else (),
    )

    def losses() -> Any:
        curves = repeat().curves
        return curves["test_loss"][0].tolist() if options.get("check") else None

    return losses, notes


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
    jn.use_all_cores()
    generator = np.random.default_rng(0)
    x = generator.standard_normal((options["rows"], 2), np.float32)
    repeat, notes = sweeping(
        tutorials("hidden", options["units"]),
        jn.Data(train=(x, (x[:, :1] * x[:, 1:] > 0).astype(np.float32))),
        options,
        batch_size=32,
        metrics_every=options.get("metrics_every", 1),
    )
    return lambda: repeat() and None, notes


def obvious_jax(options: Options) -> Contender:
    """What one writes in JAX: ``jit(vmap(scan))`` with ``jax.random.normal``."""
    import jax
    import jax.numpy as jnp
    import optax

    arrays, stddevs = problem(options), noises(options["site"])
    train, test = ((arrays[f"x_{kind}"], arrays[f"y_{kind}"]) for kind in SETS)
    optimizer = optax.adam(LEARNING_RATE, eps=epsilon(options))

    def loss(params: Any, x: Any, y: Any, key: Any = None) -> Any:
        z = jax_logits(params, x, stddevs if key is not None else {}, key)
        return optax.sigmoid_binary_cross_entropy(z, y).mean()

    def accuracy(params: Any, x: Any, y: Any) -> Any:
        return ((jax_logits(params, x, {}, None) > 0) == (y > 0.5)).mean()

    def one_run(seed: Any) -> Any:
        key = jax.random.key(seed)
        params = first_weights(key, arrays, options.get("check"))

        def step(carry: Any, i: Any) -> Any:
            params, state = carry
            grads = jax.grad(loss)(params, *train, jax.random.fold_in(key, i))
            updates, state = optimizer.update(grads, state, params)
            params = optax.apply_updates(params, updates)
            scores = accuracy(params, *train), accuracy(params, *test)
            return (params, state), (*scores, loss(params, *test))

        carry = (params, optimizer.init(params))
        return jax.lax.scan(step, carry, jnp.arange(options["epochs"]))[1]

    program = jax.jit(jax.vmap(one_run))

    def repeat() -> Any:
        curves = jax.block_until_ready(program(jnp.arange(options["seeds"])))
        return curves[2][0].tolist() if options.get("check") else None

    return repeat, compiled_by(repeat)


def first_weights(key: Any, arrays: Any, check: bool | None) -> list[Any]:
    """Weights and biases: Glorot's, or those that all contenders begin a check with."""
    import jax
    import jax.numpy as jnp

    glorot = jax.nn.initializers.glorot_uniform()
    found = []
    for name, own in zip(("w1", "w2"), jax.random.split(key), strict=True):
        shape = arrays[name].shape
        weights = jnp.asarray(arrays[name]) if check else glorot(own, shape)
        found += [weights, jnp.zeros(shape[-1])]
    return found


def jax_logits(params: Any, x: Any, stddevs: dict[str, float], key: Any) -> Any:
    """The network with noise in some places."""
    import jax

    def noisy(x: Any, place: str) -> Any:
        if place not in stddevs:
            return x
        own = jax.random.fold_in(key, 1) if place == "input" else key
        return x + stddevs[place] * jax.random.normal(own, x.shape)

    w1, b1, w2, b2 = params
    h = noisy(noisy(x, "input") @ w1 + b1, "hidden")
    return noisy(jax.nn.relu(h), "activation") @ w2 + b2


def keras(options: Options) -> Contender:
    """``fit`` with the tutorial's layers."""
    import keras
    from keras import layers

    arrays, epochs = problem(options), options["epochs"]
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

    def fit(epochs: int) -> Any:
        return model.fit(
            arrays["x_train"],
            arrays["y_train"],
            validation_data=(arrays["x_test"], arrays["y_test"]),
            epochs=epochs,
            verbose=0,
        )

    if options.get("check"):
        zeros = np.zeros(UNITS, np.float32), np.zeros(1, np.float32)
        model.set_weights([arrays["w1"], zeros[0], arrays["w2"], zeros[1]])
        return lambda: fit(epochs).history["val_loss"], {}
    return lambda: fit(epochs) and None, compiled_by(lambda: fit(10))


def torch_batched(options: Options) -> Contender:
    """The loop with all seeds in one batched matrix product; ``seeds`` 0 is one run."""
    import torch

    torch.set_num_threads(options["threads"])
    torch.manual_seed(0)
    seeds, check = options["seeds"], options.get("check")
    tensors = {name: torch.tensor(each) for name, each in problem(options).items()}
    train, test = ((tensors[f"x_{kind}"], tensors[f"y_{kind}"]) for kind in SETS)
    params, stddevs = torch_weights(tensors, seeds, check), noises(options["site"])
    adam = torch.optim.Adam(params, LEARNING_RATE, eps=epsilon(options), fused=True)
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits

    def loss(z: Any, y: Any) -> Any:  # the sum over seeds keeps their gradients apart
        return cross_entropy(z, y.expand_as(z)) * max(seeds, 1)

    def run(epochs: int) -> Any:
        curve = []
        for _ in range(epochs):
            adam.zero_grad(set_to_none=True)
            loss(torch_logits(params, train[0], stddevs), train[1]).backward()
            adam.step()
            with torch.no_grad():
                for x, y in (train, test):
                    z = torch_logits(params, x, {})
                    ((z > 0) == (y > 0.5)).float().mean((-2, -1))
                if check:
                    curve.append(float(loss(z, y)) / max(seeds, 1))
        return curve or None

    if not check:
        run(5)  # warm-up
    return lambda: run(options["epochs"]), {}


def torch_weights(tensors: dict[str, Any], seeds: int, check: bool | None) -> list[Any]:
    """First weights and biases, of one run or a batch of them."""
    import torch

    batch = (seeds,) if seeds else ()
    found = []
    for first in (tensors["w1"], tensors["w2"]):
        weights = first.expand(*batch, *first.shape).clone()
        if not check:
            limit = (6 / sum(first.shape)) ** 0.5
            weights.uniform_(-limit, limit)
        biases = torch.zeros(*batch, *(1,) * len(batch), first.shape[-1])
        found += [weights, biases]
    return [each.requires_grad_() for each in found]


def torch_logits(params: list[Any], x: Any, stddevs: dict[str, float]) -> Any:
    """The network with noise in some places."""
    import torch

    def noisy(x: Any, place: str) -> Any:
        if place not in stddevs:
            return x
        return x + stddevs[place] * torch.randn_like(x)

    w1, b1, w2, b2 = params
    batch = w1.shape[:-2]
    affine = torch.baddbmm if batch else torch.addmm
    x = noisy(x.expand(*batch, *x.shape), "input")
    h = noisy(affine(b1, x, w1), "hidden")
    return affine(b2, noisy(torch.relu(h), "activation"), w2)


CONTENDERS = {
    "jaxnoise": jaxnoise,
    "sweep": growing,
    "jit(vmap(scan))": obvious_jax,
    "Keras": keras,
    "PyTorch loop": lambda options: torch_batched({**options, "seeds": 0}),
    "PyTorch batched": torch_batched,
}
