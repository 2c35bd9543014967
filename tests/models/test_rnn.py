"""The RNN: against loops, padded steps that change nothing, and its sites."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnoise as jn

SITES = ("input_noise", "step_noise", "output_noise")
LENGTHS = np.array([6, 2, 0, 4])
SERIES = (4, 6, 3)
REAL = np.arange(6) < LENGTHS[:, None]
GAPS = REAL & (np.arange(6) != 1)
WIDTHS, OUTPUTS = (5, 4), 2


@pytest.fixture(scope="module")
def series():
    return np.asarray(jax.random.normal(jax.random.key(1), SERIES))


@pytest.fixture(scope="module")
def variables(series, drawn_variables):
    return drawn_variables(jn.RNN(WIDTHS, OUTPUTS), series, train=False)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(p, state, x):
    """``c = f c + i g``, ``h = o tanh(c)``."""
    c, h = state

    def gate(name):
        recurrent = p[f"h{name}"]
        return x @ p[f"i{name}"]["kernel"] + h @ recurrent["kernel"] + recurrent["bias"]

    c = sigmoid(gate("f")) * c + sigmoid(gate("i")) * np.tanh(gate("g"))
    return c, sigmoid(gate("o")) * np.tanh(c)


def gru(p, state, x):
    """``h = (1 - z) n + z h``."""
    (h,) = state

    def inputs(name):
        return x @ p[f"i{name}"]["kernel"] + p[f"i{name}"]["bias"]

    r, z = (sigmoid(inputs(name) + h @ p[f"h{name}"]["kernel"]) for name in "rz")
    n = np.tanh(inputs("n") + r * (h @ p["hn"]["kernel"] + p["hn"]["bias"]))
    return ((1 - z) * n + z * h,)


def forward(cell, variables, x, real, at_input=0, between=0, at_output=0):
    """Row by row and step by step, in NumPy, with a hook at each site."""
    p = jax.tree.map(np.asarray, variables["params"])

    def logits(row):
        row = row + at_input
        for i, width in enumerate(WIDTHS):
            state = [np.zeros(width)] * (2 if cell is lstm else 1)
            states = []
            for x in row:
                if states:
                    state = [*state[:-1], state[-1] + between]
                state = cell(p[f"recurrent_{i}"], state, x)
                states.append(state[-1] + at_output)
            row = states
        # without a real step h is what it was at the start
        last = row[-1] if len(row) else np.zeros(width) + at_output
        return last @ p["output"]["kernel"] + p["output"]["bias"]

    return np.stack([logits(row[steps]) for row, steps in zip(x, real, strict=True)])


def small(**noises):
    """A model that compiles fast."""
    return jn.RNN((5,), OUTPUTS, cell=nn.SimpleCell, **noises)


def assert_close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("cell", "loop"), [(nn.OptimizedLSTMCell, lstm), (nn.GRUCell, gru)]
)
def test_formula_and_where_noise_enters(
    cell, loop, series, drawn_variables, shift, key
):
    model = jn.RNN(WIDTHS, OUTPUTS, cell=cell)
    variables = drawn_variables(model, series, train=False)
    amounts = {"at_input": 0.5, "between": 0.3, "at_output": -0.2}
    noises = dict(zip(SITES, map(shift, amounts.values()), strict=True))
    noisy_model = jn.RNN(WIDTHS, OUTPUTS, cell=cell, **noises)
    rngs = {"noise": key}

    @jax.jit
    def outputs(x):
        clean = model.apply(variables, x, train=False, mask=GAPS)
        return clean, noisy_model.apply(variables, x, train=True, mask=GAPS, rngs=rngs)

    clean, noisy = outputs(series)
    assert_close(clean, forward(loop, variables, series, GAPS))
    assert_close(noisy, forward(loop, variables, series, GAPS, **amounts))


def test_zoneout(shift, key):
    """Two steps of one unit: their outcomes by hand, with means to 5 standard errors.

    The identity at rate 0 and in evaluation; at rate 1 all stays as it was without
    noise between steps.
    """
    rate, n, steps = 0.3, 20_000, np.array([[[0.7], [-1.2]]], np.float32)
    kernels = {"i": {"kernel": [[0.9]], "bias": [0.1]}, "h": {"kernel": [[1.5]]}}
    params = {"recurrent_0": kernels, "output": {"kernel": [[1.0]], "bias": [0.0]}}
    params = jax.tree.map(jnp.float32, params, is_leaf=lambda v: isinstance(v, list))

    def last(key, rate, train=True, noise=None):
        model = jn.RNN((1,), 1, None, noise, cell=nn.SimpleCell, zoneout=rate)
        return model.apply({"params": params}, steps, train, rngs={"noise": key})[0, 0]

    @jax.jit
    def outcomes():
        many = jax.vmap(last, (0, None))(jax.random.split(key, n), rate)
        plain = jn.RNN((1,), 1, cell=nn.SimpleCell)
        clean = plain.apply({"params": params}, steps, train=False)[0, 0]
        ends = last(key, 0.0), last(key, 1.0, noise=shift(0.4))
        return many, clean, ends, last(key, rate, False)

    many, clean, (none, all_kept), off = outcomes()
    assert none == clean == off and all_kept == 0
    values, weights = [], []
    for first, p in ((np.tanh(0.9 * 0.7 + 0.1), 1 - rate), (0.0, rate)):
        values += [np.tanh(0.9 * -1.2 + 0.1 + 1.5 * first), first]
        weights += [p * (1 - rate), p * rate]
    for value, weight in zip(values, weights, strict=True):
        share = np.isclose(many, value, atol=1e-5).mean()
        assert abs(share - weight) <= 5 * np.sqrt(weight * (1 - weight) / n)


@pytest.mark.parametrize(
    "cell",
    [nn.SimpleCell, nn.LSTMCell, nn.MGUCell, partial(nn.GRUCell, dtype="bfloat16")],
)
def test_other_cells_and_types(cell, series, key):
    model = jn.RNN(WIDTHS, OUTPUTS, cell=cell, step_noise=jn.GaussianNoise(0.1))

    def outputs(x):
        variables = model.init(key, x, train=False)
        return model.apply(variables, x, train=True, rngs={"noise": key})

    for dtype in (jnp.float32, jnp.bfloat16):
        out = jax.eval_shape(outputs, series.astype(dtype))
        assert (out.shape, out.dtype) == ((4, OUTPUTS), jnp.float32)
    with jax.enable_x64(True):
        out = jax.eval_shape(outputs, series.astype(np.float64))
        assert out.dtype == jnp.float64


RELATIVE = jn.Noise(partial(jn.relative(jn.add_gaussian_noise), stddev=0.3))
NOISY = dict(zip(SITES, (jn.GaussianNoise(0.3), RELATIVE, RELATIVE), strict=True))


@pytest.mark.parametrize("noises", [{}, NOISY], ids=["clean", "noisy"])
@pytest.mark.slow
def test_what_stands_in_padded_steps_changes_nothing(
    noises, series, drawn_variables, key
):
    """No bit of the outputs, nor of a gradient; a mask may have gaps."""
    model = jn.RNN(WIDTHS, OUTPUTS, cell=nn.SimpleCell, **noises)
    variables, train = drawn_variables(model, series, train=False), bool(noises)

    @jax.jit
    def outputs_and_gradients(variables, x, real):
        def loss(variables, x):
            rngs = {"noise": key} if train else None
            outputs = model.apply(variables, x, train=train, rngs=rngs, mask=real)
            return jnp.sum(outputs**2), outputs

        return jax.value_and_grad(loss, (0, 1), has_aux=True)(variables, x)

    expected = outputs_and_gradients(variables, series, GAPS)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(expected))
    for garbage in (1e30, np.nan, np.inf):
        padded = np.where(GAPS[:, :, None], series, np.float32(garbage))
        found = outputs_and_gradients(variables, padded, GAPS)
        jax.tree.map(np.testing.assert_array_equal, found, expected)
    of_series = np.asarray(expected[1][1])
    assert not of_series[~GAPS].any()
    assert of_series[0, GAPS[0]].all()


def test_how_long_the_padding_is(series, drawn_variables, key):
    """It changes no output, nor noise between steps and after the last layer."""
    longer = np.pad(series, [(0, 0), (0, 3), (0, 0)], constant_values=np.nan)
    noise = jn.GaussianNoise(0.3)

    model = small(step_noise=noise, output_noise=noise)
    variables = drawn_variables(model, series, train=False)

    def outputs(x, train):
        return model.apply(variables, (x, LENGTHS), train=train, rngs={"noise": key})

    for train in (False, True):
        short, long = jax.jit(lambda: [outputs(x, train) for x in (series, longer)])()
        np.testing.assert_array_equal(short, long)


def test_lengths_mask_and_pair_are_one(series, variables):
    model = jn.RNN(WIDTHS, OUTPUTS)

    @jax.jit
    def outputs(lengths, mask):
        apply = partial(model.apply, variables, train=False)
        return [
            apply((series, lengths)),
            apply((series, mask)),
            apply(series, lengths=lengths),
            apply(series, mask=mask),
            apply(series, lengths=LENGTHS),  # a constant of the program
        ]

    first, *others = outputs(LENGTHS, REAL)
    for other in others:
        np.testing.assert_array_equal(other, first)
    nothing = variables["params"]["output"]["bias"]  # of the row without a real step
    np.testing.assert_array_equal(first[2], nothing)


@pytest.mark.slow
def test_a_site_draws_the_same_whatever_other_sites_do(
    series, drawn_variables, recorded, key
):
    """And at each step another noise."""

    def drawn(*sites):
        logs = {site: [] for site in sites}
        noises = {site: recorded(logs[site]) for site in sites}
        model = jn.RNN(WIDTHS, OUTPUTS, cell=nn.SimpleCell, **noises)
        variables = drawn_variables(model, series, train=False)
        apply = jax.jit(partial(model.apply, train=True))
        jax.block_until_ready(apply(variables, series, rngs={"noise": key}))
        return {site: sorted(log, key=np.sum) for site, log in logs.items()}

    together = drawn(*SITES)
    counts = dict(zip(SITES, (1, 2 * 6, 2), strict=True))
    for site, alone in (drawn("step_noise") | drawn(*SITES[::2])).items():
        assert len(alone) == counts[site]
        for ours, theirs in zip(alone, together[site], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    first = [draws.ravel()[0] for log in together.values() for draws in log]
    assert len(set(first)) == len(first)


@pytest.mark.slow
def test_noise_does_not_change_initial_weights(series, key):
    models = small(), small(**NOISY)
    clean, noisy = jax.jit(
        lambda: [model.init(key, series, train=False) for model in models]
    )()
    jax.tree.map(np.testing.assert_array_equal, noisy, clean)


@pytest.mark.slow
def test_schedules_and_learned_strengths_between_steps(series, drawn_variables, key):
    """A schedule counts passes, not steps, and serves series of any length."""
    rising = jn.GaussianNoise(optax.linear_schedule(0.0, 10.0, 1))
    model, short = small(step_noise=rising), series[:, :3]
    state = jax.jit(lambda: model.init(key, series, train=False))()
    passes = {"train": True, "rngs": {"noise": key}, "mutable": ["noise"]}

    @jax.jit
    def two_passes(state):
        clean = model.apply(state, short, train=False)
        first, carried = model.apply(state, short, **passes)
        second, carried = model.apply({**state, **carried}, short, **passes)
        return clean, first, second, carried["noise"]["step_noise_0"]["stddev_step"]

    clean, first, second, counter = two_passes(state)
    # The schedule starts at 0; the compiler may round two programs apart.
    np.testing.assert_allclose(first, clean, rtol=1e-6, atol=1e-6)
    assert (second != clean).all()
    assert (counter.shape, int(counter)) == ((), 2)

    learned = small(step_noise=jn.GaussianNoise(jn.Learnable(0.1)))
    state = drawn_variables(learned, series, train=False)
    gradient = jax.jit(jax.grad(lambda v: learned.apply(v, series, **passes)[0].sum()))(
        state
    )
    assert gradient["params"]["step_noise_0"]["learnable_stddev"] != 0


@pytest.mark.slow
def test_trained_described_and_stripped(series, key):
    """A pair of series and lengths through the engine."""
    x = series, LENGTHS
    data = jn.Data(train=(x, np.arange(4) % 2))

    def recipe(stddev):
        return jn.Recipe(
            model=small(step_noise=jn.GaussianNoise(stddev)),
            loss=jn.losses.softmax_cross_entropy,
            optimizer=optax.sgd(0.1),
        )

    train = jn.make_train(recipe, epochs=1, batch_size=4, curves=())
    run = jax.jit(train)(key, 0.3, data)
    assert run.finite

    model, variables = recipe(0.3).model, run.variables
    table = jn.describe(model, variables, x, key)
    assert list(table.path) == ["step_noise_0"]
    assert table.fired.all()
    clean = jn.strip_noise(model)
    both = jax.jit(lambda v: (clean.apply(v, x), model.apply(v, x, train=False)))
    np.testing.assert_array_equal(*both(variables))


def test_under_remat(series, drawn_variables, key):
    noisy = {"cell": nn.SimpleCell, "step_noise": jn.GaussianNoise(0.3)}
    again = nn.remat(jn.RNN, static_argnums=(2,))((5,), OUTPUTS, **noisy)
    variables = drawn_variables(small(), series, train=False)

    def gradient(variables):
        rngs = {"noise": key}
        outputs = again.apply(variables, (series, LENGTHS), True, rngs=rngs)
        return outputs.sum()

    shapes = jax.eval_shape(jax.grad(gradient), variables)
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, shapes)


@pytest.mark.bad_input
def test_bad_fields(key):
    with pytest.raises(TypeError, match=r"features must be .* \(500,\), got 32"):
        jn.RNN(32, 1)
    with pytest.raises(ValueError, match="features must have at least one width"):
        jn.RNN((), 1)
    for site in SITES:
        with pytest.raises(TypeError, match=f"{site} must be a noise layer .* got 0.1"):
            jn.RNN((5,), 1, **{site: 0.1})
    with pytest.raises(ValueError, match="zoneout must be from 0 to 1, got 1.5"):
        jn.RNN((5,), 1, zoneout=1.5)
    with pytest.raises(ValueError, match="GaussianNoise 'step_noise_0' is active"):
        jn.RNN((5,), 1, step_noise=jn.GaussianNoise(0.1)).init(
            key, jnp.ones((2, 3, 1)), train=True
        )


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("x", "arguments", "message"),
    [
        (np.ones((4, 6)), {}, r"x must be series of shape .* got shape \(4, 6\)"),
        (np.ones((4, 0, 3)), {}, r"with at least one step, got shape \(4, 0, 3\)"),
        ((np.ones(SERIES), LENGTHS, REAL), {}, "a pair of .*, got 3 parts"),
        ((np.ones(SERIES), LENGTHS), {"mask": REAL}, "mask must not .* and lengths"),
        ((np.ones(SERIES), REAL), {"lengths": LENGTHS}, "lengths must not .* and mask"),
        (
            np.ones(SERIES),
            {"lengths": LENGTHS, "mask": REAL},
            "lengths and mask must not both be given",
        ),
        (
            np.ones(SERIES),
            {"mask": REAL[:, :5]},
            r"mask must be booleans .* \(4, 6\), got bool of shape \(4, 5\)",
        ),
        (np.ones(SERIES), {"mask": REAL * 1}, "mask must be booleans .* got int"),
        (
            np.ones(SERIES),
            {"lengths": LENGTHS[:3]},
            r"lengths must be an int a row, shape \(4,\), got int64 of shape \(3,\)",
        ),
        (np.ones(SERIES), {"lengths": LENGTHS * 1.0}, "lengths .* got float"),
        (np.ones(SERIES), {"lengths": LENGTHS + 1}, r"lengths must be .* 6, got 7"),
        (np.ones(SERIES), {"lengths": LENGTHS - 1}, r"lengths must be .* 6, got -1"),
    ],
)
def test_bad_series(x, arguments, message, variables):
    with pytest.raises(ValueError, match=message):
        jn.RNN(WIDTHS, OUTPUTS).apply(variables, x, train=False, **arguments)
