"""Fitted estimators as files that hold no code."""

import flax.linen as nn
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

import jaxnoise as jn

X, Y = load_iris(return_X_y=True)
FEW = {"max_epochs": 3, "random_state": 0, "hidden_layer_sizes": (8,)}


@pytest.fixture(scope="module")
def model():
    frame = pd.DataFrame(X, columns=list("abcd"))
    words = np.array(["no", "so", "yes"])[Y]
    return jn.NoisyMLPClassifier(**FEW, n_ensemble=2).fit(frame, words)


def test_there_and_back(model, tmp_path):
    frame = pd.DataFrame(X, columns=list("abcd"))
    model.save(tmp_path / "model")
    again = jn.load(tmp_path / "model")
    np.testing.assert_array_equal(
        again.predict_proba(frame), model.predict_proba(frame)
    )
    assert list(again.predict(frame)) == list(model.predict(frame))
    assert list(again.feature_names_in_) == list("abcd")
    assert again.loss_curve_ == model.loss_curve_
    assert again.get_params() == {
        **model.get_params(),
        "random_state": None,
        "hidden_layer_sizes": [8],
    }
    again.set_params(warm_start=True, max_epochs=1).partial_fit(
        frame, again.predict(frame)
    )


def test_regressors(tmp_path):
    model = jn.NoisyMLPRegressor(**FEW).fit(X, X[:, :2])
    model.save(tmp_path / "model")
    again = jn.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


@pytest.mark.slow
def test_networks_of_ones_own_are_given_again(tmp_path):
    net = nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(3)])
    model = jn.NoisyNetClassifier(net, max_epochs=3).fit(X, Y)
    model.save(tmp_path / "model")
    again = jn.load(tmp_path / "model", module=net)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    with pytest.raises(TypeError, match=r"cannot hold, module=..., got none"):
        jn.load(tmp_path / "model")
    with pytest.raises(jn.StoreError, match="variables are not those of its network"):
        jn.load(tmp_path / "model", module=nn.Dense(3))


def test_damaged_files(model, tmp_path):
    """Cut anywhere, or with any byte of its head changed, it is our error or right."""
    path = tmp_path / "model"
    model.save(path)
    content = path.read_bytes()
    head = 8 + int.from_bytes(content[:8], "little")
    wrong = [content[:at] for at in (0, 4, head // 2, head, len(content) - 1)]
    wrong += [b"\xff" * 8 + content[8:], b"[" * 10**5, content.replace(b"F32", b"F99")]
    wrong += [content.replace(b"NoisyMLPClassifier", b"os.system          "[:18])]
    wrong += [
        content.replace(b"[8]", b"[9]"),
        content.replace(b"n_iter_", b"fit____"),
    ]
    for each in wrong:
        path.write_bytes(each)
        with pytest.raises(jn.StoreError, match="is no estimator that save wrote"):
            jn.load(path)
    rng = np.random.default_rng(0)
    for at in rng.integers(0, head, 20):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        try:
            jn.load(path)
        except (jn.StoreError, TypeError):
            pass
