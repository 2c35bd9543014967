"""The tutorial's noisy network: a training step with train and test accuracy.

Every contender trains the same model: 30 points, 500 units, ReLU, Adam, one full batch
an epoch, Gaussian noise at a site, and both accuracies after every epoch. With
``check`` set they start from the same weights without noise and return the test loss of
each epoch, which shows that they are the same. Seconds are per epoch and run.
"""

import os
from typing import Any

import numpy as np
from worker import Repeat, compiled_by

UNITS, STDDEV, INPUT_STDDEV = 500, 0.1, 0.01
SETS = ("train", "test")
ADAM = {"learning_rate": 1e-3, "eps": 1e-7}
# Frameworks add eps before or after the bias correction, so that only a vanishing one
# makes them the same.
ADAM_IN_CHECK = ADAM | {"eps": 1e-12}


def problem(options: dict[str, Any]) -> dict[str, np.ndarray]:
    """The points and the first weights, from the file that all contenders read."""
    with np.load(options["problem"]) as arrays:
        return dict(arrays)


def adam(options: dict[str, Any]) -> dict[str, float]:
    """Adam's settings."""
    return ADAM_IN_CHECK if options.get("check") else ADAM


def sweeping(
    recipe: Any, data: Any, options: dict[str, Any], **settings: Any
) -> tuple[Repeat, dict[str, Any]]:
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


def tutorials(site: str, units: int = UNITS, **more: Any) -> Any:
    """The tutorial's recipe with noise at a site; further arguments are the model's."""
    import optax

    import jaxnoise as jn

    settings: dict[str, Any] = {"layer": jn.GaussianNoise, "adam": ADAM} | more
    layer, adam = settings.pop("layer"), settings.pop("adam")
    sites = {"both": ["input", "hidden"], "none": []}.get(site, [site])
    noise = {
        f"{s}_noise": layer(INPUT_STDDEV if s == "input" else STDDEV) for s in sites
    }
    made = jn.Recipe(
        model=jn.MLP((units,), 1, **noise, **settings),
        loss=jn.losses.binary_cross_entropy,
        optimizer=optax.adam(**adam),
        metrics={"accuracy": jn.metrics.binary_accuracy},
    )
    return lambda strength: made


def jaxnoise(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
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
        tutorials(options["site"], adam=adam(options), **more),
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


def growing(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
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


def obvious_jax(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
    """What one writes in JAX: ``jit(vmap(scan))`` with ``jax.random.normal``."""
    import jax
    import jax.numpy as jnp
    import optax

    arrays, site = problem(options), options["site"]
    train, test = ((arrays[f"x_{kind}"], arrays[f"y_{kind}"]) for kind in SETS)
    optimizer = optax.adam(**adam(options))

    def loss(params: Any, x: Any, y: Any, key: Any = None) -> Any:
        z = jax_logits(params, x, site if key is not None else "none", key)
        return optax.sigmoid_binary_cross_entropy(z, y).mean()

    def accuracy(params: Any, x: Any, y: Any) -> Any:
        return ((jax_logits(params, x, "none", None) > 0) == (y > 0.5)).mean()

    def one_run(seed: Any) -> Any:
        key = jax.random.key(seed)
        params = first_weights(key, arrays if options.get("check") else None)

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

    notes = compiled_by(repeat)
    return repeat, notes


def first_weights(key: Any, arrays: dict[str, np.ndarray] | None) -> dict[str, Any]:
    """Glorot's, or those that all contenders begin a check with."""
    import jax
    import jax.numpy as jnp

    glorot = jax.nn.initializers.glorot_uniform()
    keys = jax.random.split(key)
    w1, w2 = glorot(keys[0], (2, UNITS)), glorot(keys[1], (UNITS, 1))
    if arrays is not None:
        w1, w2 = jnp.asarray(arrays["w1"]), jnp.asarray(arrays["w2"])
    return {"w1": w1, "b1": jnp.zeros(UNITS), "w2": w2, "b2": jnp.zeros(1)}


def jax_logits(params: Any, x: Any, site: str, key: Any) -> Any:
    """The network with noise at a site."""
    import jax

    def noisy(x: Any, stddev: float, key: Any) -> Any:
        return x + stddev * jax.random.normal(key, x.shape)

    if site in ("input", "both"):
        key, sub = jax.random.split(key)
        x = noisy(x, INPUT_STDDEV, sub)
    h = x @ params["w1"] + params["b1"]
    h = noisy(h, STDDEV, key) if site in ("hidden", "both") else h
    h = jax.nn.relu(h)
    h = noisy(h, STDDEV, key) if site == "activation" else h
    return h @ params["w2"] + params["b2"]


def keras(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
    """``fit`` with the tutorial's layers; ``KERAS_BACKEND`` says on what."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    arrays, site, epochs = problem(options), options["site"], options["epochs"]
    layers: list[Any] = [keras.Input((2,))]
    if site in ("input", "both"):
        layers.append(keras.layers.GaussianNoise(INPUT_STDDEV))
    layers.append(keras.layers.Dense(UNITS))
    if site in ("hidden", "both"):
        layers.append(keras.layers.GaussianNoise(STDDEV))
    layers.append(keras.layers.Activation("relu"))
    if site == "activation":
        layers.append(keras.layers.GaussianNoise(STDDEV))
    layers.append(keras.layers.Dense(1, activation="sigmoid"))
    model = keras.Sequential(layers)
    model.compile(
        optimizer=keras.optimizers.Adam(
            adam(options)["learning_rate"], epsilon=adam(options)["eps"]
        ),
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


def torch_batched(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
    """The loop with all seeds in one batched matrix product; ``seeds`` 0 is one run."""
    import torch

    torch.set_num_threads(options["threads"])
    torch.manual_seed(0)
    arrays, seeds, check = problem(options), options["seeds"], options.get("check")
    tensors = {name: torch.tensor(values) for name, values in arrays.items()}
    train, test = ((tensors[f"x_{kind}"], tensors[f"y_{kind}"]) for kind in SETS)
    params = torch_weights(tensors, seeds, check)
    settings = adam(options)
    optimizer = torch.optim.Adam(
        params, lr=settings["learning_rate"], eps=settings["eps"], fused=True
    )
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits

    def loss(z: Any, y: Any) -> Any:  # the sum over seeds keeps their gradients apart
        return cross_entropy(z, y.expand_as(z)) * max(seeds, 1)

    def run(epochs: int) -> Any:
        curve = []
        for _ in range(epochs):
            optimizer.zero_grad(set_to_none=True)
            loss(torch_logits(params, train[0], options["site"]), train[1]).backward()
            optimizer.step()
            with torch.no_grad():
                for x, y in (train, test):
                    z = torch_logits(params, x, "none")
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
    for name, size in (("w1", UNITS), ("w2", 1)):
        shape = tensors[name].shape
        limit = (6 / sum(shape)) ** 0.5
        first = torch.empty(*batch, *shape).uniform_(-limit, limit)
        if check:
            first = tensors[name].expand(*batch, *shape).clone()
        found += [first, torch.zeros(*batch, *(1,) * len(batch), size)]
    return [each.requires_grad_() for each in found]


def torch_logits(params: list[Any], x: Any, site: str) -> Any:
    """The network with noise at a site."""
    import torch

    w1, b1, w2, b2 = params
    batch = w1.shape[:-2]

    def affine(b: Any, x: Any, w: Any) -> Any:
        if not batch:
            return torch.addmm(b, x, w)
        return torch.baddbmm(b, x.expand(*batch, *x.shape[-2:]), w)

    if site in ("input", "both"):
        x = x.expand(*batch, *x.shape)
        x = x + INPUT_STDDEV * torch.randn_like(x)
    h = affine(b1, x, w1)
    if site in ("hidden", "both"):
        h = h + STDDEV * torch.randn_like(h)
    h = torch.relu(h)
    if site == "activation":
        h = h + STDDEV * torch.randn_like(h)
    return affine(b2, h, w2)


CONTENDERS = {
    "jaxnoise": jaxnoise,
    "jaxnoise, no noise": lambda options: jaxnoise({**options, "site": "none"}),
    "jax.random.normal in jaxnoise": lambda o: jaxnoise({**o, "plain": True}),
    "sweep": growing,
    "jit(vmap(scan))": obvious_jax,
    "Keras": keras,
    "PyTorch loop": lambda options: torch_batched({**options, "seeds": 0}),
    "PyTorch batched": torch_batched,
}
