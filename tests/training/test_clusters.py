"""Sweeps on processes: pools', Dask's, all of which die, and JAX's own."""

import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import optax
import pandas as pd
import pytest

import jaxnoise as jn

pytestmark = pytest.mark.slow
ASKED = {
    "strengths": {"input": [0.1, 0.3]},
    "seeds": 60,
    "epochs": 300,
    "batch_size": 32,
    "keep_params": [1],
    "progress": False,
}


def recipes():
    """Of no module: they travel by cloudpickle."""

    def recipe(noise=None):
        return jn.Recipe(
            model=jn.MLP((40,), 1, input_noise=noise),
            loss=jn.losses.binary_cross_entropy,
            optimizer=optax.sgd(0.1),
            metrics={"accuracy": jn.metrics.binary_accuracy},
        )

    return {
        "none": lambda _: recipe(),
        "input": lambda stddev: recipe(jn.GaussianNoise(stddev)),
    }


def sweep(**arguments):
    data = jn.Data(train=jn.data.circles().train)
    return jn.sweep(recipes(), data=data, **ASKED | arguments)


@pytest.fixture(scope="module")
def whole():
    """In one process."""
    return sweep()


def assert_close(result, whole):
    """Noise has the same bits; sums may be added in another order."""
    assert result.complete
    pd.testing.assert_frame_equal(result.runs, whole.runs, rtol=0, atol=1e-6)


def test_a_process_of_a_pool_is_killed(whole, tmp_path):
    pools, killed = [], []

    def made():
        context = multiprocessing.get_context("spawn")
        pools.append(ProcessPoolExecutor(2, context))
        return pools[-1]

    def kill(done, total):
        if done > total // 2 and not killed:
            killed.append(min(pools[-1]._processes))
            os.kill(killed[0], signal.SIGKILL)

    path = tmp_path / "results.sqlite"
    result = sweep(executor=made, store=path, progress=kill)
    assert len(pools) == 2
    assert_close(result, whole)
    pd.testing.assert_frame_equal(jn.Store(path).result().runs, result.runs)


def free_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    # where Dask would not wait for workers that start again slowly
    patient = {"distributed.deploy.lost-worker-timeout": "1h"}
    address = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with (
        pytest.importorskip("dask").config.set(patient),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, **address) as made,
    ):
        yield made


@pytest.fixture
def client(cluster):
    distributed = pytest.importorskip("distributed")
    with distributed.Client(cluster) as client:
        client.wait_for_workers(2)
        yield client


@pytest.mark.parametrize(
    "kills", [pytest.param(5), pytest.param(50, marks=pytest.mark.long)]
)
def test_dask_workers_are_killed_in_mid_chunk(client, whole, tmp_path, kills):
    """Five in a sweep, which has few chunks, and as many sweeps as it takes."""
    rng, killed = random.Random(0), []

    def kill(done, total):
        here = len(killed) - before
        if done > here * total // 6 and here < 5 and len(killed) < kills:
            processes = client.run(os.getpid, on_error="ignore")
            if processes:  # and are none while all are started again
                killed.append(rng.choice(sorted(processes.values())))
                os.kill(killed[-1], signal.SIGKILL)

    for _ in range(kills // 5):
        before = len(killed)
        path = tmp_path / f"{before}.sqlite"
        result = sweep(executor=client.get_executor(), store=path, progress=kill)
        assert_close(result, whole)
        pd.testing.assert_frame_equal(jn.Store(path).result().runs, result.runs)
    assert len(killed) == kills


def dask_processes(address):
    """A scheduler and two workers, which end with it."""
    _, host, port = address.replace("//", "").split(":")
    common = ["--host", host, "--no-dashboard"]
    commands = [["scheduler", "--port", port]]
    commands += [["worker", address, "--nthreads", "1", "--no-nanny"]] * 2
    return [
        subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{name}", *rest, *common],
            stderr=subprocess.DEVNULL,
        )
        for name, *rest in commands
    ]


def test_dask_is_killed_as_a_whole_and_started_again(whole):
    distributed = pytest.importorskip("distributed")
    address = f"tcp://{free_address()}"
    processes = dask_processes(address)

    def kill(done, total):
        if done > total // 3 and len(processes) == 3:
            for process in processes:
                process.kill()
                process.wait()
            processes.extend(dask_processes(address))

    try:
        with distributed.Client(address, timeout=60) as client:
            result = sweep(executor=client.get_executor(), progress=kill)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert len(processes) == 6
    assert_close(result, whole)


# What a process does, alone or with others of `jax.distributed`
CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
import jax
devices, rank, address, path = int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]
jax.config.update("jax_num_cpu_devices", devices)
if address:
    jax.distributed.initialize(address, 2, rank, coordinator_bind_address=address)
import test_clusters as tests
from jaxnoise.store.file import File
add, counts = File.add_runs, []
def counted(self, runs, instead_of=()):
    counts.append(len(runs))
    add(self, runs, instead_of)
File.add_runs = counted
tests.sweep(store=path, seeds=20)
result = tests.sweep(store=path, seeds=30)
result.runs.to_csv(f"{path}.{rank}.csv", index=False)
print(sum(counts), result.complete)
"""


def in_two_processes(path, devices, address=""):
    """What they tell; both have the same table, which is that of the store."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, os.path.dirname(__file__), *arguments, path],
            stdout=subprocess.PIPE,
            text=True,
        )
        for arguments in ((str(n), str(i), address) for i, n in enumerate(devices))
    ]
    told = [process.communicate(timeout=300)[0].splitlines() for process in processes]
    stored = jn.Store(path).result().runs
    for rank in range(2):
        table = pd.read_csv(f"{path}.{rank}.csv")
        pd.testing.assert_frame_equal(table, stored, check_dtype=False, atol=1e-6)
    return [lines[-1] for lines in told]


def test_processes_of_jax_distributed_share_a_sweep(whole, tmp_path):
    """And its store, which one of them writes."""
    path = str(tmp_path / "results.sqlite")
    told = in_two_processes(path, (2, 2), free_address())
    assert told == ["90 True", "0 True"]
    assert_close(jn.Store(path).result(), whole.where(seed=range(30)))


FAILS = """
import sys
sys.path.insert(0, sys.argv[1])
import jax
jax.distributed.initialize(sys.argv[2], 2, int(sys.argv[3]))
import test_clusters as tests
def fail(done, total):
    if done > 0:
        raise ValueError("no more")
for progress in (fail, False):
    try:
        tests.sweep(store=sys.argv[4], seeds=8, progress=progress)
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
    with open(sys.argv[4], "w") as file:  # for the next one
        file.write("text")
"""


def test_what_fails_in_the_first_process_of_jax_distributed_ends_all(tmp_path):
    """Also outside of what they share: its progress, its store."""
    path, address = str(tmp_path / "results.sqlite"), free_address()
    both = [
        subprocess.Popen(
            [sys.executable, "-c", FAILS, os.path.dirname(__file__), address, rank]
            + [path],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    outputs = [process.communicate(timeout=120)[0] for process in both]
    told = [output.splitlines()[-2:] for output in outputs]  # behind JAX's own
    assert told[0][0] == "ValueError: no more"
    assert told[0][1].startswith(f"StoreError: store {path}: is a file of something")
    others = [line.partition(": ")[2] for line in told[0]]
    assert told[1] == [f"RuntimeError: in another process: {why}" for why in others]


def test_two_sweeps_on_one_store_and_any_number_of_devices(whole, tmp_path):
    path = str(tmp_path / "results.sqlite")
    told = in_two_processes(path, (1, 8))
    assert [line.split()[1] for line in told] == ["True", "True"]
    assert jn.Store(path).verify() == 90
    assert_close(jn.Store(path).result(), whole.where(seed=range(30)))
