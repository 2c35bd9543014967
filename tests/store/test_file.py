"""The file of a store: what goes in comes out, whatever happens meanwhile."""

import os
import pickle
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxnoise.store import file as module
from jaxnoise.store.file import FORMAT, File, Setup, StoredRun, StoreError, digest

METRICS = ["train_loss", 'odd "name"', "Größe; DROP TABLE runs_", "select"]
SETUP = Setup("none", 0, 4, {"recipe": "x"}, {"overlap": None}, METRICS)
VALUES = [0.1, -0.0, float("nan"), float("-inf")]
# Writes from processes that know nothing of JAX, and so fork and start quickly.
CHILD = """
import importlib.util, os, psutil, random, resource, signal, sys, time
spec = importlib.util.spec_from_file_location("file", sys.argv[1])
sys.modules["file"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
SETUP = module.Setup("none", 0, 4, {"recipe": "x"}, {}, ["train_loss"])
RUNS = 8

def rows(writer, call):
    names = [(writer, call, seed) for seed in range(RUNS)]
    return [
        (
            module.StoredRun(
                module.digest(*name), SETUP.id, {"strength": 0.1}, name[2], True,
                "1 x cpu", ["curves"], {"train_loss": hash(name) / 7},
            ),
            {"curves": str(name).encode() * 99},
        )
        for name in names
    ]

def write(path, writer, calls, done=lambda call: None):
    with module.File(path, write=True) as file:
        file.add_setups([SETUP])
        for call in calls:
            file.add_runs(rows(writer, call))
            done(call)

def there(path, writer, calls):
    asked = [row for call in calls for row in rows(writer, call)]
    keys = [run.key for run, _ in asked]
    if not (os.path.exists(path) and os.path.getsize(path)):
        return 0
    with module.File(path) as file:
        found = {run.key: run for run in file.runs(file.setups(), keys)}
        arrays = dict(file.arrays("curves", list(found.values())))
    assert found.keys() == arrays.keys()
    for run, each in asked:
        if run.key in found:
            assert found[run.key] == run and arrays[run.key] == each["curves"]
    return len(found)

def forked(task):
    pid = os.fork()
    if not pid:
        code = 1
        try:
            task()
            code = 0
        finally:
            os._exit(code)
    return pid

def ended(*pids):
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0
"""


def child(code, *arguments):
    """What such a process prints; it must end well."""
    command = [sys.executable, "-c", CHILD + code, module.__file__]
    done = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, timeout=600
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def stored(seed, values=VALUES, metrics=METRICS):
    metrics = dict(zip(metrics, values, strict=True))
    key = digest(SETUP.id, seed)
    start = [key, SETUP.id, {"strength": 0.1}, seed, True, "1 x cpu"]
    return StoredRun(*start, ["curves", "variables"], metrics)


def fill(path, runs=4):
    """A small store, and what reading all of it gives."""
    with File(path, write=True) as file:
        assert file.add_setups([SETUP]) == []
        arrays = {"curves": b"curve" * 9, "variables": b"kept" * 99}
        file.add_runs([(stored(seed), arrays) for seed in range(runs)])
    return contents(path)


def contents(path):
    with File(path) as file:
        setups = file.setups()
        runs = list(file.runs(setups))
        arrays = [sorted(file.arrays(n, runs)) for n in ("curves", "variables")]
        return setups, sorted(map(repr, runs)), *arrays  # NaN is not NaN


def counts(few, many, most):
    """Cases of a fault; marks say which runs when."""
    slow, long = pytest.mark.slow, pytest.mark.long
    return [few, pytest.param(many, marks=slow), pytest.param(most, marks=long)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.sqlite"


def test_what_goes_in_comes_out(path):
    setups, runs, curves, variables = fill(path)
    assert setups == {SETUP.id: SETUP}
    assert runs == sorted(repr(stored(seed)) for seed in range(4))
    assert "-0.0" in runs[0]
    assert [content for _, content in curves] == [b"curve" * 9] * 4
    assert [content for _, content in variables] == [b"kept" * 99] * 4
    assert list(path.parent.iterdir()) == [path]  # nothing is left beside it


def test_floats_keep_every_bit(path):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**64, 4000, np.uint64).view(np.float64).tolist()
    bits += [5e-324, -5e-324, 1.7976931348623157e308, 2.0**53, -0.0]
    with File(path, write=True) as file:
        setup = SETUP._replace(metrics=["a_b"])
        file.add_setups([setup])
        runs = [stored(i, [value], ["a_b"]) for i, value in enumerate(bits)]
        file.add_runs([(run._replace(setup=setup.id), {}) for run in runs])
        found = {run.seed: run.metrics["a_b"] for run in file.runs(file.setups())}
    back = np.array([found[i] for i in range(len(bits))])
    expected = np.where(np.isnan(bits), np.nan, bits)
    assert back.tobytes() == expected.tobytes()


def test_what_is_there_stays(path):
    before = fill(path)
    with File(path, write=True) as file:
        file.add_runs([(stored(0, [1.0] * 4), {"curves": b"other"})])
    assert contents(path) == before


def test_other_setups_of_the_same_name(path):
    fill(path)
    other = SETUP._replace(parts={"recipe": "y"})
    longer = other._replace(epochs=5)
    with File(path, write=True) as file:
        assert file.add_setups([longer, other]) == [(other, SETUP)]
        assert list(file.setups()) == [SETUP.id]
        file.forget([stored(seed).key for seed in range(4)], [])
        assert file.add_setups([longer, other]) == []  # no run was left of it
        assert list(file.setups().values()) == [longer, other]
        with pytest.raises(StoreError, match="FOREIGN KEY"):  # its setup is gone
            file.add_runs([(stored(0), {})])
        file.forget([], [longer.id])
        assert list(file.setups()) == [other.id]


def test_runs_go_with_their_arrays(path):
    fill(path)
    gone = stored(1).key
    with File(path, write=True) as file:
        file.add_runs([], instead_of=[gone])
    _, runs, curves, variables = contents(path)
    assert len(runs) == len(curves) == len(variables) == 3
    assert gone not in dict(curves)


def safety(file):
    return file.db.execute("PRAGMA synchronous").fetchone()[0]


def test_reads_while_another_writes(path):
    before = fill(path)
    other = SETUP._replace(split=1).row
    with File(path, write=True) as file:
        assert (file.journal, safety(file)) == ("wal", 1)
        with file.transaction():
            file._insert("setups", [*other, digest(*other)])
            assert contents(path) == before
    with File(path) as file:
        runs = list(file.runs(file.setups()))
        fill(path, runs=6)
        assert len(runs) == len(list(file.runs(file.setups()))) == 4


@pytest.mark.parametrize("runs", [0, 4])
def test_without_shared_memory(path, monkeypatch, runs):
    """A network: a plain journal, nothing lost, also of a file that had another."""
    if runs:
        fill(path, runs)
    monkeypatch.setattr(module, "_on_network", lambda path: True)
    with File(path, write=True) as file:
        assert (file.journal, safety(file)) == ("delete", 2)
    assert len(fill(path, runs=6)[1]) == 6


def test_which_file_systems_are_networks(tmp_path, monkeypatch):
    from collections import namedtuple

    part = namedtuple("part", "mountpoint fstype")
    mounts = [part("/", "ext4"), part(str(tmp_path), "nfs4")]
    monkeypatch.setattr("psutil.disk_partitions", lambda all: mounts)
    assert module._on_network(tmp_path / "results.sqlite")
    assert module._on_network(tmp_path / "deeper" / "results.sqlite")
    assert not module._on_network(Path("/elsewhere.sqlite"))


# What is no store


def foreign(path):
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE runs (key)")
    db.close()


def newer(path):
    fill(path)
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version={FORMAT + 1}")
    db.close()


def with_trigger(path):
    fill(path)
    db = sqlite3.connect(path)
    db.execute("CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM setups; END")
    db.close()


def with_view(path):
    fill(path)
    db = sqlite3.connect(path)
    db.execute("ALTER TABLE runs RENAME TO others")
    db.execute("CREATE VIEW runs AS SELECT * FROM others")
    db.close()


ELSE = "is a file of something else and stays as it is"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (foreign, ELSE),
        (lambda path: path.write_bytes(pickle.dumps({"runs": [1]})), ELSE),
        (lambda path: path.write_text("placement,strength\n"), ELSE),
        (lambda path: path.write_bytes(b"\0" * 5000), ELSE),
        (
            newer,
            f"has format {FORMAT + 1}, and this version .* {FORMAT};",
        ),
        (with_trigger, "its tables are damaged"),
        (with_view, "its tables are damaged"),
        (lambda path: path.mkdir(), "must be a file, got a folder"),
        (lambda path: os.mkfifo(path), "must be a file, got a folder or device"),
    ],
)
@pytest.mark.parametrize("write", [False, True])
def test_no_store_is_refused_and_not_touched(path, make, message, write):
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreError, match=message):
        File(path, write=write)
    assert (path.read_bytes() if path.is_file() else None) == before
    assert list(path.parent.iterdir()) == [path]


def test_no_file(path):
    with pytest.raises(StoreError, match="there is no such file"):
        File(path)
    with pytest.raises(StoreError, match="there is no folder"):
        File(path / "deeper", write=True)
    path.touch()
    with pytest.raises(StoreError, match="something else"):
        File(path)
    fill(path)  # an empty file becomes a store


# Damage


@pytest.mark.parametrize("count", counts(1_000, 10_000, 1_000_000))
def test_damage_is_told_or_harmless(path, count, monkeypatch):
    """Bits flipped: what is read is as it was, or there is an error of ours."""
    monkeypatch.setattr(module, "_on_network", lambda path: True)  # opens sooner
    expected, whole = fill(path, runs=2), np.fromfile(path, np.uint8)
    used = np.flatnonzero(whole)  # most of a page is free
    rng = np.random.default_rng(0)
    places = np.where(
        rng.random(count) < 0.7,
        rng.choice(used, count),
        rng.integers(0, len(whole), count),
    )
    flips = rng.integers(1, 256, count).astype(np.uint8)
    told = 0
    with path.open("r+b", buffering=0) as file:
        for place, flip in zip(places.tolist(), flips.tolist(), strict=True):
            os.pwrite(file.fileno(), bytes([whole[place] ^ flip]), place)
            try:
                assert contents(path) == expected
            except StoreError:
                told += 1
            os.pwrite(file.fileno(), bytes([whole[place]]), place)
    assert 0.3 * count < told < count


def test_rows_that_a_damaged_page_hides_are_missed(path):
    """A page tells how many rows it has; one less is a well-formed page."""
    fill(path, runs=2)
    whole = path.read_bytes()
    db = sqlite3.connect(path)
    query = "SELECT rootpage FROM sqlite_schema WHERE name = 'runs'"
    (page,) = db.execute(query).fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    db.close()
    count = (page - 1) * size + 4  # the low byte
    assert whole[count] == 2
    path.write_bytes(whole[:count] + b"\1" + whole[count + 1 :])
    with pytest.raises(StoreError, match="its runs are damaged"):
        contents(path)
    with File(path) as file, pytest.raises(StoreError):
        list(file.runs(file.setups(), [stored(seed).key for seed in range(2)]))


def test_truncation_is_told(path, tmp_path):
    """What is read may lie before the cut; a look at all of the file tells."""
    expected = fill(path, runs=40)
    whole, cut = path.read_bytes(), tmp_path / "cut.sqlite"
    for size in sorted({*range(0, len(whole), 512), *range(1, len(whole), 997)}):
        cut.write_bytes(whole[:size])
        with pytest.raises(StoreError):
            assert contents(cut) == expected
            with File(cut) as file:
                file.check()


HUGE = """
path = sys.argv[2]
write(path, "before", range(2))
whole = open(path, "rb").read()
place = whole.index(b"curves(")  # after the sizes of a record's values
resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))
for at in range(place - 60, place):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(bytes([0x88, 0x80, 0x80, 0x80, 0x0C]))  # some gigabytes
    try:
        there(path, "before", range(2))
    except (module.StoreError, AssertionError) as error:
        print(type(error).__name__)
    with open(path, "wb") as file:
        file.write(whole)
"""


def test_huge_sizes_take_no_memory(path):
    """Records that claim gigabytes, in a process that may not have them."""
    said = child(HUGE, path)
    assert {*said} == {"StoreError"}
    assert len(said) > 10


# Processes


KILLED = """
path, count = sys.argv[2], int(sys.argv[3])
random.seed(0)
acknowledged = 0
for writer in range(count):
    where = f"{path}{writer // 20}"
    read, answer = os.pipe()
    pid = forked(
        lambda: write(where, writer, range(9999), lambda call: os.write(answer, b"."))
    )
    seen = b"".join(os.read(read, 1) for _ in range(random.randrange(4)))
    time.sleep(random.uniform(0, 0.004))  # a random moment of the next call
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(answer)
    calls = len(seen + os.read(read, 9999))
    os.close(read)
    assert there(where, writer, range(calls)) == calls * RUNS
    assert there(where, writer, [calls]) in (0, RUNS)
    acknowledged += calls
for number in range((count + 19) // 20):
    with module.File(f"{path}{number}") as file:
        file.check()
print(acknowledged)
"""


@pytest.mark.parametrize("count", counts(20, 200, 2_000))
def test_a_kill_while_writing_loses_and_tears_nothing(path, count):
    (acknowledged,) = child(KILLED, path, count)
    assert int(acknowledged) > count  # most were killed in the midst of it


RACE = """
path, races, calls = sys.argv[2], int(sys.argv[3]), 8
for race in range(races):
    where = f"{path}{race}"
    def both(own):
        write(where, "both", range(calls))
        write(where, own, range(calls))

    ended(*[forked(lambda: both(own)) for own in range(2)])
    for writer in ("both", 0, 1):
        assert there(where, writer, range(calls)) == calls * RUNS
    with module.File(where) as file:
        assert len(list(file.runs(file.setups()))) == 3 * calls * RUNS
        file.check()
"""


@pytest.mark.parametrize("count", counts(2, 20, 500))
def test_two_processes_on_one_store(path, count):
    child(RACE, path, count)


FULL = """
path = sys.argv[2]

def fails():
    size = os.path.getsize(path) + 40_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        write(path, "full", range(999))
    except module.StoreError as error:
        print(error, flush=True)

write(path, "before", range(3))
ended(forked(fails))
before = there(path, "full", range(999))
assert before % RUNS == 0 and before < 999 * RUNS
assert there(path, "before", range(3)) == 3 * RUNS
write(path, "full", range(99))
assert there(path, "full", range(99)) == 99 * RUNS
"""


def test_a_full_disk(path):
    assert {"store", "disk"} <= {*child(FULL, path)}


READ_ONLY = """
import shutil, tempfile
folder = tempfile.mkdtemp()
path = f"{folder}/results.sqlite"
write(path, "before", range(3))

def refused(what):
    if not os.getuid():
        os.setuid(65534)
    try:
        what()
    except module.StoreError as error:
        print(error, flush=True)

def reads():
    if not os.getuid():
        os.setuid(65534)
    assert there(path, "before", range(3)) == 3 * RUNS

try:
    os.chmod(path, 0o444)
    os.chmod(folder, 0o555)
    ended(forked(reads))
    ended(forked(lambda: refused(lambda: write(path, "new", range(3)))))
    os.chmod(path, 0)
    ended(forked(lambda: refused(lambda: there(path, "before", range(3)))))
finally:
    os.chmod(folder, 0o755)
    shutil.rmtree(folder)
"""


def test_without_permission(tmp_path):
    said = " ".join(child(READ_ONLY))
    assert said.count("store /") == 2
    assert "readonly database" in said
    assert "Permission denied" in said
