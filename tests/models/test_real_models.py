"""Real models with noise, in Linen and NNX: trained, described, stripped, exported.

A transformer encoder block with padding, a residual block with batch norm, and a module
of a user's under a scan over layers.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax import export

import jaxnoise as jn

ROWS, TOKENS, WORDS, WIDTH = 12, 6, 20, 8


# A transformer encoder block; noise on the embeddings of real tokens alone


class Encoder(nn.Module):
    alpha: float

    @nn.compact
    def __call__(self, x, train):
        tokens, mask = x["tokens"], x["mask"]
        h = nn.Embed(WORDS, WIDTH, name="embed")(tokens)
        h = jn.NEFTuneNoise(self.alpha, name="embedding_noise")(h, train, mask=mask)
        attended = nn.MultiHeadDotProductAttention(num_heads=2, name="attention")(
            nn.LayerNorm()(h), mask=nn.make_attention_mask(mask, mask)
        )
        h = h + jn.Dropout(0.1, name="residual_noise")(attended, train)
        mlp = nn.gelu(nn.Dense(2 * WIDTH, name="wide")(nn.LayerNorm()(h)))
        h = h + nn.Dense(WIDTH, name="narrow")(mlp)
        pooled = (h * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return nn.Dense(3, name="head")(pooled)


class EncoderNNX(nnx.Module):
    def __init__(self, alpha, rngs):
        self.embed = nnx.Embed(WORDS, WIDTH, rngs=rngs)
        self.embedding_noise = jn.nnx.NEFTuneNoise(alpha, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, WIDTH, decode=False, rngs=rngs)
        self.residual_noise = jn.nnx.Dropout(0.1, rngs=rngs)
        self.norms = nnx.List([nnx.LayerNorm(WIDTH, rngs=rngs) for _ in range(2)])
        self.wide = nnx.Linear(WIDTH, 2 * WIDTH, rngs=rngs)
        self.narrow = nnx.Linear(2 * WIDTH, WIDTH, rngs=rngs)
        self.head = nnx.Linear(WIDTH, 3, rngs=rngs)

    def __call__(self, x):
        tokens, mask = x["tokens"], x["mask"]
        h = self.embedding_noise(self.embed(tokens), mask=mask)
        attended = self.attention(
            self.norms[0](h), mask=nnx.make_attention_mask(mask, mask)
        )
        h = h + self.residual_noise(attended)
        h = h + self.narrow(nnx.gelu(self.wide(self.norms[1](h))))
        return self.head((h * mask[..., None]).sum(1) / mask.sum(1, keepdims=True))


def sentences():
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, TOKENS + 1, ROWS)
    mask = np.arange(TOKENS) < lengths[:, None]
    tokens = rng.integers(1, WORDS, (ROWS, TOKENS)) * mask
    return {"tokens": tokens, "mask": mask}, rng.integers(0, 3, ROWS)


# A residual block with batch norm


class Residual(nn.Module):
    stddev: float

    @nn.compact
    def __call__(self, x, train):
        def norm(h):
            return nn.BatchNorm(use_running_average=not train, momentum=0.9)(h)

        h = nn.Conv(4, (3, 3), use_bias=False, name="stem")(x)
        inner = nn.relu(norm(h))
        inner = jn.GaussianNoise(self.stddev, name="block_noise")(inner, train=train)
        h = h + norm(nn.Conv(4, (3, 3), use_bias=False, name="conv")(inner))
        return nn.Dense(3, name="head")(nn.relu(h).mean((1, 2)))


class ResidualNNX(nnx.Module):
    def __init__(self, stddev, rngs):
        self.stem = nnx.Conv(1, 4, (3, 3), use_bias=False, rngs=rngs)
        self.conv = nnx.Conv(4, 4, (3, 3), use_bias=False, rngs=rngs)
        self.norms = nnx.List(
            [nnx.BatchNorm(4, momentum=0.9, rngs=rngs) for _ in range(2)]
        )
        self.block_noise = jn.nnx.GaussianNoise(stddev, rngs=rngs)
        self.head = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        h = self.stem(x)
        inner = self.block_noise(nnx.relu(self.norms[0](h)))
        return self.head(nnx.relu(h + self.norms[1](self.conv(inner))).mean((1, 2)))


def images():
    rng = np.random.default_rng(1)
    return rng.normal(size=(ROWS, 5, 5, 1)), rng.integers(0, 3, ROWS)


# A module of a user's under a scan over layers


class Layer(nn.Module):
    stddev: float
    train: bool

    @nn.compact
    def __call__(self, h, _):
        inner = jn.GaussianNoise(self.stddev, name="layer_noise")(h, train=self.train)
        return h + nn.tanh(nn.Dense(WIDTH, name="dense")(inner)), None


class Deep(nn.Module):
    stddev: float

    @nn.compact
    def __call__(self, x, train):
        layers = nn.scan(
            Layer,
            variable_axes={"params": 0},
            split_rngs={"params": True, "noise": True},
            length=3,
        )
        h, _ = layers(self.stddev, train, name="layers")(x, None)
        return nn.Dense(3, name="head")(h)


class LayerNNX(nnx.Module):
    def __init__(self, stddev, rngs):
        self.dense = nnx.Linear(WIDTH, WIDTH, rngs=rngs)
        self.layer_noise = jn.nnx.GaussianNoise(stddev, rngs=rngs)

    def __call__(self, h):
        return h + nnx.tanh(self.dense(self.layer_noise(h)))


class DeepNNX(nnx.Module):
    def __init__(self, stddev, rngs):
        @nnx.split_rngs(splits=3)
        @nnx.vmap
        def layers(rngs):
            return LayerNNX(stddev, rngs)

        self.layers = layers(rngs)
        self.head = nnx.Linear(WIDTH, 3, rngs=rngs)

    def __call__(self, x):
        @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
        def through(h, layer):
            return layer(h)

        return self.head(through(x, self.layers))


def vectors():
    rng = np.random.default_rng(2)
    return rng.normal(size=(ROWS, WIDTH)), rng.integers(0, 3, ROWS)


class Case(NamedTuple):
    linen: type
    nnx: type
    rows: object
    strength: float
    sites: list


CASES = {
    "transformer": Case(
        Encoder, EncoderNNX, sentences, 10.0, ["embedding_noise", "residual_noise"]
    ),
    "resnet": Case(Residual, ResidualNNX, images, 0.5, ["block_noise"]),
    "scan": Case(Deep, DeepNNX, vectors, 0.5, ["layers/layer_noise"]),
}


def model_of(name, kind):
    """``strength -> model`` of the engine."""
    case = CASES[name]
    if kind == "linen":
        return case.linen
    return lambda strength: jn.nnx.model(lambda rngs: case.nnx(strength, rngs))


def half(first):
    """Each model in one kind, and each kind: the two tests have the two halves."""
    kinds = ("linen", "nnx", "linen") if first else ("nnx", "linen", "nnx")
    return pytest.mark.parametrize(
        ("name", "kind"), list(zip(CASES, kinds, strict=True))
    )


def train_alone(model_of, rows, strength, *, epochs=30):
    def recipe(strength):
        return jn.Recipe(
            model=model_of(strength),
            loss=jn.losses.softmax_cross_entropy,
            optimizer=optax.adam(1e-2),
        )

    train = jax.jit(jn.make_train(recipe, epochs=epochs, batch_size=5))
    data = jn.Data(train=rows)
    key = jax.random.key(0)
    return train(key, 0.0, data), train(key, strength, data), train(key, strength, data)


@half(first=True)
@pytest.mark.slow
def test_in_the_engine(name, kind):
    """It learns, reproducibly, and the noise makes a difference."""
    rows, strength = CASES[name].rows(), CASES[name].strength
    quiet, noisy, again = train_alone(model_of(name, kind), rows, strength)
    assert quiet.finite
    assert noisy.finite
    for result in (quiet, noisy):
        loss = result.curves["train_loss"]
        assert loss[-1] < 0.9 * loss[0]
    jax.tree.map(np.testing.assert_array_equal, noisy, again)
    assert abs(noisy.curves["train_loss"] - quiet.curves["train_loss"]).max() > 1e-3


@half(first=False)
def test_described_stripped_and_exported(name, kind, key):
    case, linen = CASES[name], kind == "linen"
    model, (x, _) = model_of(name, kind)(case.strength), case.rows()
    x = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), x)
    variables = jax.jit(
        lambda key: model.init(key, x, **({"train": False} if linen else {}))
    )(key)
    table = jn.describe(model, variables, x, key)
    assert table["path"].tolist() == case.sites
    assert table["fired"].all()
    assert (table["noise_sd"] > 0).all()
    np.testing.assert_allclose(table["strength"][0], case.strength)

    clean = jn.strip_noise(model)

    @jax.jit
    def both(variables):
        if linen:
            expected = model.apply(variables, x, train=False)
        else:
            expected, _ = model.apply(variables, x, train=False, key=None)
        return clean.apply(variables, x), expected

    np.testing.assert_array_equal(*both(variables))
    program = jax.jit(lambda x: clean.apply(variables, x))
    text = export.export(program, platforms=["cpu", "cuda", "tpu"])(x).mlir_module()
    assert not [word for word in ("threefry", "rng", "random", "xor") if word in text]


def test_nnx_modules_themselves(key):
    """Described and stripped without the engine around them."""
    case = CASES["scan"]
    model, (x, _) = case.nnx(case.strength, nnx.Rngs(0)), case.rows()
    table = jn.describe(model, None, x, key)
    assert table["path"].tolist() == case.sites
    assert table["fired"].all()
    clean = jn.strip_noise(model)
    model.eval()
    np.testing.assert_array_equal(clean(x), model(x))


@pytest.mark.slow
def test_padding_gets_no_noise(key):
    """Whatever stands in padded places, the noisy outputs are the same."""
    (x, _), rngs = sentences(), {"noise": key}
    model = Encoder(10.0)
    variables = model.init(key, x, train=False)
    garbage = {**x, "tokens": np.where(x["mask"], x["tokens"], WORDS - 1)}
    np.testing.assert_allclose(
        model.apply(variables, x, train=True, rngs=rngs),
        model.apply(variables, garbage, train=True, rngs=rngs),
        atol=1e-5,
    )


@pytest.mark.slow
def test_layers_of_a_scan_draw_their_own(key):
    """In both kinds: with the same weights in every layer, their noise differs."""
    x = jnp.ones((500, WIDTH))
    for model in (Deep(1.0), jn.nnx.model(lambda rngs: DeepNNX(1.0, rngs))):
        keyword = {"train": False} if isinstance(model, nn.Module) else {}
        variables = model.init(key, x, **keyword)
        params = variables["params"]
        zero = jax.tree.map(jnp.zeros_like, params["layers"])
        step = jax.tree.map(lambda leaf: leaf.at[:].set(0.01), zero)
        head = {"kernel": jnp.ones((WIDTH, 3)), "bias": jnp.zeros(3)}
        variables |= {"params": {"layers": step, "head": head}}

        def outputs(key, model=model, variables=variables):
            if isinstance(model, nn.Module):
                return model.apply(variables, x, train=True, rngs={"noise": key})
            return model.apply(variables, x, train=True, key=key)[0]

        spread = outputs(key)[:, 0].std()
        # every unit adds 0.01 times the sum of a row's noise, and grows by 1.08 a layer
        once = WIDTH * 0.01 * np.sqrt(WIDTH)
        apart = once * np.sqrt(1 + 1.08**2 + 1.08**4)
        np.testing.assert_allclose(spread, apart, rtol=5 / np.sqrt(2 * len(x)))
        assert spread < 0.7 * once * (1 + 1.08 + 1.08**2)  # what a shared draw gives
