"""The command that trains on a Dask cluster, here of two processes."""

import json
import os
import signal

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


@pytest.mark.slow
def test_workers_that_die_and_start_slowly_are_waited_for(experiment):
    """Dask gives them up soon, if it is not told."""
    dask = pytest.importorskip("dask")
    module = experiment("cluster")
    with dask.config.set({module.LOST: "1ms"}), module.client_of(None, 2) as client:
        for process in client.run(os.getpid).values():
            os.kill(process, signal.SIGKILL)
        assert client.submit(abs, -1).result(timeout=60) == 1
        client.wait_for_workers(2, timeout=60)


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
