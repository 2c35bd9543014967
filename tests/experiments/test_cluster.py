"""The command that trains on a Dask cluster, here of two processes."""

import json

import pytest

import jaxnoise as jn


@pytest.mark.slow
def test_it_stores_and_goes_on(experiment, tmp_path, capsys):
    pytest.importorskip("distributed")
    main = experiment("cluster").main
    asked = ["--epochs", "20", "--out", str(tmp_path)]
    assert main([*asked, "--seeds", "10"]) == 0
    assert main([*asked, "--seeds", "11"]) == 0
    assert "hidden" in capsys.readouterr().out
    assert len(jn.Store(tmp_path / "runs.sqlite").runs) == 4 * 11
    assert json.loads((tmp_path / "summary.json").read_text())["complete"]


def test_no_cluster_is_one_line(experiment, capsys, tmp_path):
    dask = pytest.importorskip("dask")
    soon = dask.config.set({"distributed.comm.timeouts.connect": "1s"})
    with soon, pytest.raises(SystemExit) as ended:
        asked = ["--scheduler", "tcp://127.0.0.1:1", "--out", str(tmp_path)]
        experiment("cluster").main(asked)
    assert ended.value.code == 2
    assert (
        "error: Timed out trying to connect to tcp://127.0.0.1:1"
        in capsys.readouterr().err
    )
