"""The tutorial's noisy network: a training step with train and test accuracy.

Every contender trains the same model: 30 points, 500 units, ReLU, Adam, one full batch
an epoch, Gaussian noise at a site, and both accuracies after every epoch. With
``check`` set they start from the same weights without noise and return the test loss of
each epoch, which shows that they are the same. Seconds are per epoch and run.
"""

import os
from typing import Any

import numpy as np
from worker import Repeat

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
    import time

    import jax
    import jax.numpy as jnp
    import optax

    arrays = problem(options)
    x, y = arrays["x_train"], arrays["y_train"]
    x_test, y_test = arrays["x_test"], arrays["y_test"]
    seeds, epochs, site = options["seeds"], options["epochs"], options["site"]
    optimizer = optax.adam(**adam(options))

    def init(key: Any) -> Any:
        if options.get("check"):
            w1, w2 = jnp.asarray(arrays["w1"]), jnp.asarray(arrays["w2"])
        else:
            keys = jax.random.split(key)
            glorot = jax.nn.initializers.glorot_uniform()
            w1, w2 = glorot(keys[0], (2, UNITS)), glorot(keys[1], (UNITS, 1))
        return {"w1": w1, "b1": jnp.zeros(UNITS), "w2": w2, "b2": jnp.zeros(1)}

    def logits(params: Any, x: Any, key: Any = None) -> Any:
        noisy = site if key is not None else "none"
        if noisy in ("input", "both"):
            key, sub = jax.random.split(key)
            x = x + INPUT_STDDEV * jax.random.normal(sub, x.shape)
        h = x @ params["w1"] + params["b1"]
        if noisy in ("hidden", "both"):
            h = h + STDDEV * jax.random.normal(key, h.shape)
        h = jax.nn.relu(h)
        if noisy == "activation":
            h = h + STDDEV * jax.random.normal(key, h.shape)
        return h @ params["w2"] + params["b2"]

    def loss(params: Any, x: Any, y: Any, key: Any = None) -> Any:
        return optax.sigmoid_binary_cross_entropy(logits(params, x, key), y).mean()

    def accuracy(params: Any, x: Any, y: Any) -> Any:
        return ((logits(params, x) > 0) == (y > 0.5)).mean()

    def train(seed: Any) -> Any:
        key = jax.random.key(seed)
        params = init(key)

        def step(carry: Any, i: Any) -> Any:
            params, state = carry
            grads = jax.grad(loss)(params, x, y, jax.random.fold_in(key, i))
            updates, state = optimizer.update(grads, state, params)
            params = optax.apply_updates(params, updates)
            scores = accuracy(params, x, y), accuracy(params, x_test, y_test)
            return (params, state), (*scores, loss(params, x_test, y_test))

        carry = (params, optimizer.init(params))
        return jax.lax.scan(step, carry, jnp.arange(epochs))[1]

    started = time.perf_counter()
    program = jax.jit(jax.vmap(train)).lower(jnp.arange(seeds)).compile()
    compiled = time.perf_counter() - started

    def repeat() -> Any:
        curves = jax.block_until_ready(program(jnp.arange(seeds)))
        return curves[2][0].tolist() if options.get("check") else None

    repeat()
    return repeat, {"compile_seconds": compiled}


def keras(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
    """``fit`` with the tutorial's layers; ``KERAS_BACKEND`` says on what."""
    import time

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
    started = time.perf_counter()
    fit(10)
    compiled = time.perf_counter() - started
    return lambda: fit(epochs) and None, {"compile_seconds": compiled}


def torch_batched(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
    """The loop with all seeds in one batched matrix product; ``seeds`` 0 is one run."""
    import torch

    torch.set_num_threads(options["threads"])
    arrays, site, epochs = problem(options), options["site"], options["epochs"]
    seeds, batch = options["seeds"], (options["seeds"],) if options["seeds"] else ()
    x, y = torch.tensor(arrays["x_train"]), torch.tensor(arrays["y_train"])
    x_test, y_test = torch.tensor(arrays["x_test"]), torch.tensor(arrays["y_test"])
    torch.manual_seed(0)

    def weights(name: str) -> Any:
        shape = arrays[name].shape
        if options.get("check"):
            first = torch.tensor(arrays[name]).expand(*batch, *shape).clone()
        else:
            limit = (6 / sum(shape)) ** 0.5
            first = torch.empty(*batch, *shape).uniform_(-limit, limit)
        return first.requires_grad_()

    w1, w2 = weights("w1"), weights("w2")
    b1 = torch.zeros(*batch, *(1,) * len(batch), UNITS, requires_grad=True)
    b2 = torch.zeros(*batch, *(1,) * len(batch), 1, requires_grad=True)
    optimizer = torch.optim.Adam(
        [w1, b1, w2, b2],
        lr=adam(options)["learning_rate"],
        eps=adam(options)["eps"],
        fused=True,
    )
    affine = (
        (lambda b, x, w: torch.baddbmm(b, x.expand(seeds, *x.shape[-2:]), w))
        if seeds
        else torch.addmm
    )

    def logits(x: Any, train: bool) -> Any:
        noisy = site if train else "none"
        if noisy in ("input", "both"):
            x = x.expand(*batch, *x.shape)
            x = x + INPUT_STDDEV * torch.randn_like(x)
        h = affine(b1, x, w1)
        if noisy in ("hidden", "both"):
            h = h + STDDEV * torch.randn_like(h)
        h = torch.relu(h)
        if noisy == "activation":
            h = h + STDDEV * torch.randn_like(h)
        return affine(b2, h, w2)

    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits

    def loss(z: Any, y: Any) -> Any:  # the sum over seeds keeps their gradients apart
        return cross_entropy(z, y.expand_as(z)) * max(seeds, 1)

    def repeat() -> Any:
        curve = []
        for _ in range(epochs):
            optimizer.zero_grad(set_to_none=True)
            loss(logits(x, True), y).backward()
            optimizer.step()
            with torch.no_grad():
                for points, labels in ((x, y), (x_test, y_test)):
                    z = logits(points, False)
                    ((z > 0) == (labels > 0.5)).float().mean((-2, -1))
                if options.get("check"):
                    curve.append(float(loss(z, y_test)) / max(seeds, 1))
        return curve or None

    if not options.get("check"):
        steps, epochs = epochs, 5
        repeat()  # warm-up
        epochs = steps
    return repeat, {}


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
