"""Published results, rebuilt: quick runs of each, and laws where they are cheap."""

import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import jaxnoise as jn

NAMES = ("sparse", "valley", "mixup", "xor", "dropout", "neftune", "mnist1d")


@pytest.fixture(scope="module")
def script(experiment):
    return experiment("replications")


@pytest.fixture(scope="module")
def part(experiment, script):
    return lambda name: experiment("_replications." + name)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_quick_run(script, tmp_path, capsys, name):
    """Every number of every claim is there, and what is done is not done again."""
    readme = tmp_path / "README.md"
    readme.write_text("<!-- replications --> <!-- end of replications -->", "utf-8")
    command = [name, "--quick", "--out", str(tmp_path), "--into", str(readme)]
    assert script.main(command) == 0
    text = (tmp_path / "replications.md").read_text("utf-8")
    assert text in capsys.readouterr().out
    assert text.strip() in readme.read_text("utf-8")
    claims = script.RESULTS[name]["claim"]
    assert all(f"| {claim['says']} |" in text for claim in claims)
    scores = pd.read_csv(tmp_path / name / "scores.csv")
    assert len(scores) == 6 and np.isfinite(scores).all(axis=None)
    before = (tmp_path / name / "summary.json").stat().st_mtime_ns
    assert script.main(command) == 0
    assert (tmp_path / name / "summary.json").stat().st_mtime_ns == before
    assert (tmp_path / "replications.md").read_text("utf-8") == text
    if name == "valley":  # whose quick run has all its steps
        assert text.count("**holds**") == 2


def test_gradient_of_the_sparse_model_is_that_of_a_loop(part):
    """The mean gradient, and the noise of one row that is added to its own."""
    sparse = part("sparse")
    plan = {"weights": 7, "nonzero": 2, "rows": 5}
    (x, y), key = sparse.task(3, plan).train, jax.random.key(1)
    v = np.random.default_rng(0).normal(size=7).astype(np.float32)
    noisy = np.asarray(sparse.one_row(key, jnp.asarray(y)))
    (row,) = np.flatnonzero((noisy != y)[:, 0])  # one of them

    def mean_loss(v):
        variables = {"params": {"v": v}}
        outputs, _ = sparse.Squares().apply(variables, x, train=True, key=None)
        return sparse.loss(outputs, noisy).mean()

    expected, e = np.zeros(7), (noisy - y)[row, 0] / len(y)
    for i in range(len(y)):
        residual = x[i] @ v**2 - y[i, 0]
        expected += residual / 2 * 2 * v * x[i] / len(y)
    expected -= e / 2 * 2 * v * x[row]
    np.testing.assert_allclose(jax.grad(mean_loss)(v), expected, rtol=1e-4, atol=1e-5)


def test_noise_on_one_label_is_standard(part):
    """On all rows alike, and N(0, 1) in the sum of the rows, whose mean is derived."""
    keys = jax.random.split(jax.random.key(0), 20_000)
    noise = jax.vmap(lambda key: part("sparse").one_row(key, jnp.zeros((4, 1))))(keys)
    hit = np.asarray(noise[:, :, 0] != 0)
    assert (hit.sum(1) == 1).all()
    n, drawn = len(keys), np.asarray(noise)[hit[:, :, None]] / 4
    assert abs(hit.mean(0) - 1 / 4).max() < 5 * (3 / 16 / n) ** 0.5
    assert abs(drawn.std() - 1) < 5 / (2 * n) ** 0.5


def test_trace_of_the_valley_is_that_of_its_hessian(part):
    valley = part("valley")

    def value(w):
        variables = {"params": {"u": w[:-1], "v": w[-1]}}
        return valley.Valley().apply(variables, None, train=True, key=None)[0]

    w = jnp.array([0.3, -1.2, 0.7])
    hessian = jax.hessian(lambda w: valley.loss(value(w), None)[0])(w)
    np.testing.assert_allclose(valley.trace(value(w), None)[0], jnp.trace(hessian))


def test_draws_choose_and_others_judge(part):
    """A strength that is best on the first draws alone is chosen, and not flattered."""
    cells = pd.DataFrame(
        {
            ("none", 0.0): [0.5] * 5,
            ("noise", 0.1): [0.4, 0.4, 0.9, 0.9, 0.9],
            ("noise", 0.3): [0.6, 0.6, 0.2, 0.2, 0.3],
        }
    )
    judged, best = part("runs").chosen(cells, 2)
    assert best == {"none": 0.0, "noise": 0.3}
    assert judged["noise"].tolist() == [0.2, 0.2, 0.3]


def test_most_frequent_token_has_no_rival(part):
    plan = {"tokens": 4, "length": 6, "train_size": 20, "test_rows": 30}
    data = part("neftune").task(0, plan)
    for x, y in data.values():
        counts = (x[:, :, None] == np.arange(4)).sum(1)
        own = np.take_along_axis(counts, y[:, None], 1)
        assert ((counts >= own).sum(1) == 1).all()
    assert [len(y) for _, y in data.values()] == [20, 30]


def test_classes_of_the_xor_lie_across(part):
    """Far apart, the sign of the product of turned coordinates tells them."""
    x, y = part("xor").task(0, rows=40, test=10, stddev=0.01).train
    turned = (x[:, 0] - x[:, 1]) * (x[:, 0] + x[:, 1])
    np.testing.assert_array_equal(y[:, 0], turned < 0)


def test_networks_have_the_published_sizes(part):
    """But for the GRU: PyTorch's has 12 biases of 6 units more that do the same."""
    x = jn.data.mnist1d(2).train[0]
    sizes = {}
    for name, model in part("mnist1d").MODELS.items():
        init = partial(model.init, train=False)
        shapes = jax.eval_shape(init, jax.random.key(0), x)
        sizes[name] = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    published = {"linear": 410, "perceptron": 15_210, "convolutions": 5_210}
    assert {name: sizes[name] for name in published} == published
    assert sizes["GRU"] == 5_134 - 2 * 2 * 6


def test_frozen_file(script):
    """Every result has a quick plan of the same parts, and numbers that decide."""
    assert tuple(script.RESULTS) == NAMES
    for result in script.RESULTS.values():
        assert {*result["plan"]["quick"]} <= {*result["plan"]}
        for claim in result["claim"]:
            assert any("claimed" in each for each in claim["numbers"])
    json.dumps(script.RESULTS)  # as a summary holds it
