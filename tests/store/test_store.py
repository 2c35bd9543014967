"""A store: what is listed, read, joined, deleted and written elsewhere."""

import os
import sqlite3

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import jaxnoise as jn
from jaxnoise.results import SweepResult
from jaxnoise.store.arrays import packed, packed_tree, unpacked, unpacked_tree
from jaxnoise.store.file import File, Setup, StoredRun, digest

EPOCHS = 4
FACTS = {"majority": {"test": 0.5}, "rows": {"test": 70}}
FACTS |= {"overlap": None, "outer": None}


def fill(path, placements, *, seeds=20, data="d", every=1, epochs=EPOCHS):
    """What a sweep of so many strengths a placement would have stored."""
    rng = np.random.default_rng(0)
    parts = {"data": data, "metrics_every": every}
    metrics = ["test_accuracy", "test_loss"]
    with File(path, write=True) as file:
        for placement, strengths in placements.items():
            setup = Setup(placement, 0, epochs, parts, FACTS, metrics)
            file.add_setups([setup])
            rows = []
            for strength in strengths:
                for seed in range(seeds):
                    columns = {"strength": strength}
                    score = 0.7 + 0.1 * strength + rng.normal(0, 0.01)
                    curve = np.full(epochs // every, score, np.float32)
                    arrays = {"curves": packed({"test_accuracy": curve})}
                    run = StoredRun(
                        digest(setup.id, columns, seed),
                        setup.id,
                        columns,
                        seed,
                        True,
                        "1 x cpu",
                        ["curves"],
                        dict(zip(metrics, (score, 1 - score), strict=True)),
                    )
                    rows.append((run, arrays))
            file.add_runs(rows)
    return path


@pytest.fixture
def path(tmp_path):
    return fill(tmp_path / "it's 100 %?.sqlite", {"none": [0.0], "input": [0.3, 0.1]})


def test_lists(path):
    store = jn.Store(path)
    runs = store.runs
    first = ["placement", "strength", "seed", "split", "epochs"]
    assert list(runs) == [*first, "test_accuracy", "test_loss", "finite"]
    assert runs["placement"].unique().tolist() == ["none", "input"]
    assert runs["strength"].unique().tolist() == [0.0, 0.1, 0.3]
    assert repr(store).splitlines() == [
        f"Store {path}: 60 runs",
        "  placements and strengths: none 0; input 0.1, 0.3",
    ]


def test_results_of_a_part(path):
    store = jn.Store(path)
    part = store.result("input", strength=np.float32(0.1), seed=[2, 1])
    assert part.runs["seed"].tolist() == [1, 2]
    assert part.curves["test_accuracy"].shape == (2, EPOCHS)
    scores = part.runs["test_accuracy"].astype(np.float32)
    np.testing.assert_array_equal(part.curves["test_accuracy"][:, -1], scores)
    assert part.epochs.tolist() == [1, 2, 3, 4]
    assert part.runs.attrs == {
        "majority": {"test": [0.5]},
        "rows": {"test": 70},
    }
    assert part.variables == (None, None)
    assert (part.complete, part.device, part.origin) == (True, "1 x cpu", None)
    with pytest.raises(ValueError, match="placement must be of the runs, such as none"):
        store.result("hidden")


def test_what_does_not_go_together(path):
    store = jn.Store(path)
    fill(path, {"other": [0.1]}, data="e")
    with pytest.raises(ValueError, match="the runs must have one data; choose by plac"):
        store.result()
    fill(path, {"rare": [0.1]}, every=2)
    with pytest.raises(ValueError, match="the runs must have one metrics_every; choos"):
        store.result(["none", "rare"])
    assert store.result("rare").epochs.tolist() == [2, 4]
    fill(path, {"none": [0.0]}, epochs=6)
    with pytest.raises(ValueError, match="epochs must be one of 4, 6, as there are"):
        store.result("none")
    with pytest.raises(ValueError, match="epochs must be of the runs, such as 4, 6, g"):
        store.result("none", epochs=5)
    assert store.result("none", epochs=6).epochs.tolist() == [1, 2, 3, 4, 5, 6]
    assert len(store.result(["none", "input"], epochs=4).runs) == 60


def test_forget(path):
    store = jn.Store(path)
    with pytest.raises(ValueError, match="forget must be told which runs"):
        store.forget()
    assert store.forget("input", strength=0.3, seed=[0, 1]) == 2
    assert len(store.runs) == 58
    assert store.forget("input") == 38
    with File(path) as file:
        assert [s.placement for s in file.setups().values()] == ["none"]
        assert len(list(file.runs(file.setups()))) == 20
    assert store.forget(seed=range(20)) == 20
    assert list(store.runs) == ["placement", "seed", "split", "epochs", "finite"]
    assert store.runs.empty
    assert repr(store).endswith("strengths: none")
    with pytest.raises(ValueError, match="the store must have finished runs, got none"):
        store.result()


def test_verify(path):
    store = jn.Store(path)
    assert store.verify() == 60
    changes = (
        "UPDATE runs SET test_accuracy = 0.9 WHERE seed = 3",
        "UPDATE arrays SET content = zeroblob(9) WHERE rowid = 3",
        "DELETE FROM arrays WHERE rowid = 3",
        "UPDATE setups SET facts = '{}'",
        "DELETE FROM setups WHERE rowid = 1",
    )
    whole = path.read_bytes()
    for change in changes:
        db = sqlite3.connect(path)
        db.execute(change)
        db.commit()
        db.close()
        with pytest.raises(jn.StoreError, match="damaged"):
            store.verify()
        path.write_bytes(whole)
    assert store.verify() == 60


def test_to_csv(path, tmp_path):
    store = jn.Store(path)
    store.to_csv(tmp_path / "runs.csv")
    again = pd.read_csv(tmp_path / "runs.csv", dtype=str)
    again = again.replace({"True": "1", "False": ""}).astype(store.runs.dtypes)
    pd.testing.assert_frame_equal(again, store.runs, check_exact=True)


def test_to_parquet(path, tmp_path):
    store, file = jn.Store(path), tmp_path / "runs.parquet"
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match="pyarrow"):
            store.to_parquet(file)
    else:
        store.to_parquet(file)
        pd.testing.assert_frame_equal(pd.read_parquet(file), store.runs)


@pytest.mark.parametrize("given", [str, os.fspath, jn.Store], ids=lambda f: f.__name__)
def test_evidence_takes_a_path(path, tmp_path, given):
    source, result = given(path), jn.Store(path).result()
    table = jn.compare(source, metric="test_accuracy")
    pd.testing.assert_frame_equal(table, jn.compare(result, metric="test_accuracy"))
    assert table.loc[table["strength"] == 0.3, "verdict"].tolist() == ["better"]


def test_pictures_and_pages_take_a_path(path, tmp_path):
    assert jn.plots.learning_curves(path, metric="accuracy") is not None
    assert jn.plots.strength_curve(path, metric="test_accuracy") is not None
    assert jn.plots.score_distribution(path, metric="test_accuracy") is not None
    page = jn.report(path, tmp_path / "report.html", metric="test_accuracy")
    assert "input" in page.read_text("utf-8")
    with pytest.raises(jn.StoreError, match="there is no such file"):
        jn.compare("nowhere", metric="test_accuracy")


# Joined results


def test_concat(path):
    store = jn.Store(path)
    whole = store.result()
    parts = [store.result(seed=range(3, 20)), store.result(seed=range(3))]
    swapped = jn.concat(parts)  # the cells of both stand together
    assert swapped.runs["seed"].tolist() == [*range(3, 20), *range(3)] * 3
    score = swapped.runs["test_accuracy"].astype(np.float32)
    np.testing.assert_array_equal(swapped.curves["test_accuracy"][:, -1], score)
    joined = jn.concat([store.result("none"), store.result("input")])
    pd.testing.assert_frame_equal(joined.runs, whole.runs)
    assert joined.runs.attrs == whole.runs.attrs
    np.testing.assert_array_equal(
        joined.curves["test_accuracy"], whole.curves["test_accuracy"]
    )
    assert joined.variables == whole.variables


def alone(placement, strength, *, epochs=1, curves=("test_loss",), **parts):
    runs = pd.DataFrame([{"placement": placement, **strength, "seed": 0, "split": 0}])
    runs = runs.assign(**dict.fromkeys(curves, 0.5), finite=True)
    runs.attrs = parts.pop("attrs", {})
    values = {"complete": True, "compile_seconds": 1.0, "run_seconds": 2.0}
    return SweepResult(
        runs,
        {name: np.ones((1, epochs), np.float32) for name in curves},
        np.arange(1, 1 + epochs),
        ({"params": {}},),
        **values | {"device": "1 x cpu"} | parts,
    )


def test_concat_of_unlike_results():
    one = alone("none", {"strength": 0.0}, attrs={"overlap": 0.25, "outer": [0]})
    parts = {"complete": False, "device": "2 x cpu", "attrs": {"overlap": 0.25}}
    other = alone("both", {"strength.a": 0.1}, curves=("test_accuracy",), **parts)
    joined = jn.concat([one, other])
    assert list(joined.runs) == [
        "placement",
        "strength",
        "strength.a",
        "seed",
        "split",
        "test_loss",
        "test_accuracy",
        "finite",
    ]
    assert joined.runs["finite"].dtype == bool
    np.testing.assert_array_equal(joined.curves["test_loss"], [[1], [np.nan]])
    assert joined.curves["test_loss"].dtype == np.float32
    assert joined.runs.attrs == {"overlap": 0.25}
    assert (joined.complete, joined.device) == (False, "1 x cpu, 2 x cpu")
    assert (joined.compile_seconds, joined.run_seconds) == (2.0, 4.0)


@pytest.mark.bad_input
def test_what_does_not_join():
    one = alone("input", {"strength": 0.1})
    same = alone("input", {"strength": float(np.float32(0.1))})
    with pytest.raises(ValueError, match="each run once, got placement input stren"):
        jn.concat([one, same])
    with pytest.raises(ValueError, match="curves of the same epochs"):
        jn.concat([one, alone("none", {"strength": 0.0}, epochs=2)])
    for wrong in ([], [one, one.runs], [None]):
        with pytest.raises(TypeError, match="results must be SweepResults, got"):
            jn.concat(wrong)


# Arrays


def test_arrays_come_back():
    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "b/c": np.array(3, np.int64),
        "none": np.zeros((0, 2), bool),
        "half": np.asarray(jnp.ones(3, jnp.bfloat16)),
    }
    found, about = unpacked(packed(arrays, ["what", None]))
    assert about == ["what", None]
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_trees_come_back():
    one = np.ones(2, np.float32)
    tree = {"params": {"a/b": one, "a": {"b": 2 * one}}, "c": [(one, None), []]}
    again = unpacked_tree(packed_tree(tree))
    assert repr(again) == repr(tree)


def test_arrays_are_in_the_layout_of_safetensors():
    content = packed({"a": np.ones(2, np.float32)}, "it")
    header = b'{"__metadata__": {"about": "\\"it\\""}, "a": {"dtype": "F32", '
    assert content[8:].startswith(header + b'"shape": [2], "data_offsets": [0, 8]}}')
    assert int.from_bytes(content[:8], "little") % 8 == 0
    assert content.endswith(np.ones(2, np.float32).tobytes())
