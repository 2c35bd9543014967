"""Compiled programs on disk: where, how many, and what trouble costs: only time."""

import os
import pickle
import platform
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

import jaxnoise as jn
from jaxnoise.training import cache, executors
from jaxnoise.training.devices import local_mesh
from jaxnoise.training.plan import Plan
from jaxnoise.training.recipe import Settings

X = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
LIMIT = "jax_persistent_cache_min_compile_time_secs"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of our own that is not there yet; the tests' is back afterwards."""
    before = {name: jax.config.values[name] for name in (cache.FOLDER, LIMIT)}
    monkeypatch.setenv(cache.SWITCH, str(tmp_path / "programs"))
    monkeypatch.setattr(cache, "LEAST_SECONDS", 0)
    compilation_cache.reset_cache()
    jax.config.update(cache.FOLDER, None)
    yield tmp_path / "programs"
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def computed():
    """What a program gives that this process has not compiled, for all JAX knows."""

    def waves(x):
        return jnp.sin(x) @ x

    return np.asarray(jax.jit(waves)(X))


def file_of(folder):
    """The file of the program."""
    [(file, _)] = [each for each in cache.files_of(folder) if "waves" in each[0].name]
    return file


def changed(file):
    """Whether a computation, which is right, writes the file anew."""
    before = file.stat().st_ino
    np.testing.assert_allclose(computed(), np.sin(X) @ X, rtol=1e-5)
    return file.stat().st_ino != before


# Where


@pytest.mark.parametrize(
    ("platform", "told", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/else"}, "/else/jaxnoise"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/jaxnoise"),
        ("linux", {}, "/home/me/.cache/jaxnoise"),
        ("darwin", {}, "/home/me/Library/Caches/jaxnoise"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/jaxnoise"),
        ("win32", {}, "/home/me/AppData/Local/jaxnoise"),
        ("linux", {"JAXNOISE_CACHE": "/mine"}, "/mine"),
        ("linux", {"JAXNOISE_CACHE": "OFF"}, None),
        ("linux", {"JAXNOISE_CACHE": "0"}, None),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="paths of another kind")
def test_the_folder_is_where_the_system_keeps_caches(
    monkeypatch, platform, told, expected
):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", cache.SWITCH):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **told}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache._folder() == (expected and Path(expected))


def test_it_is_off_where_the_environment_says_so(folder, monkeypatch):
    monkeypatch.setenv(cache.SWITCH, "off")
    jn.use_cache()
    assert jax.config.values[cache.FOLDER] is None and not folder.exists()


def test_a_folder_that_jax_was_given_is_kept(folder, tmp_path):
    jax.config.update(cache.FOLDER, str(tmp_path / "given"))
    jn.use_cache()
    assert jax.config.values[cache.FOLDER] == str(tmp_path / "given")
    assert not folder.exists()


def test_what_takes_no_time_to_compile_is_not_kept(folder, monkeypatch):
    monkeypatch.setattr(cache, "LEAST_SECONDS", 1e6)
    jn.use_cache()
    computed()
    assert not cache.files_of(folder)


# Trouble


def test_a_program_is_compiled_once(folder):
    jn.use_cache()
    first = computed()
    file = file_of(folder)
    assert not changed(file)
    np.testing.assert_array_equal(computed(), first)


DAMAGE = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "zeros": lambda content: content[:100] + bytes(len(content) - 100),
    "other": lambda content: b"something else",
    "a bit": lambda content: content[:999] + bytes([content[999] ^ 1]) + content[1000:],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_compiled_and_replaced(folder, damage):
    jn.use_cache()
    computed()
    file = file_of(folder)
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    assert changed(file) and not changed(file)


@pytest.mark.skipif(os.name == "nt", reason="no such limits")
def test_a_full_disk_costs_time(folder):
    """A limit of a file's size, beyond which writing fails like that."""
    import resource

    jn.use_cache()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        computed()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not [*folder.iterdir()]
    computed()
    assert not changed(file_of(folder))


@pytest.mark.parametrize("beneath", [False, True])
def test_a_folder_that_cannot_be_made_costs_time(folder, monkeypatch, beneath):
    folder.write_text("a file")
    monkeypatch.setenv(cache.SWITCH, str(folder / "programs" if beneath else folder))
    jn.use_cache()
    computed()
    assert jax.config.values[cache.FOLDER] is None and folder.read_text() == "a file"


def test_a_folder_that_goes_away_costs_time(folder):
    jn.use_cache()
    computed()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    computed()
    folder.write_text("a file")
    computed()


def test_a_folder_that_cannot_be_written_is_read(folder):
    jn.use_cache()
    computed()
    file, modes = file_of(folder), (0o500, 0o700)
    folder.chmod(modes[0])
    try:
        jax.config.update(cache.FOLDER, None)
        jn.use_cache()
        assert jax.config.values[cache.FOLDER] == str(folder)
        assert not changed(file)
        jax.jit(lambda x: jnp.cos(x) @ x)(X)
    finally:
        folder.chmod(modes[1])


def test_what_was_not_used_for_longest_goes(folder, monkeypatch):
    folder.mkdir()
    programs = cache.Programs(folder)
    for age in range(5):
        programs.put(str(age), bytes(100))
        os.utime(folder / f"{age}.program", (1e9 - age, 1e9 - age))
    other = folder / "other"
    other.write_bytes(bytes(1000))
    monkeypatch.setattr(cache, "MOST_BYTES", 400)
    assert programs.get("3") == bytes(100) and programs.get("5") is None
    programs.put("5", bytes(100))
    left = [file.stem for file, _ in cache.files_of(folder)]
    assert left == ["5", "3", "0"] and other.exists()


# Processes


@pytest.mark.parametrize("ours", [True, False])
def test_a_worker_keeps_programs_as_its_caller_does(folder, ours):
    folder.mkdir()
    if ours:
        jn.use_cache()
    else:
        jax.config.update(cache.FOLDER, str(folder))
        jax.config.update(LIMIT, 0)
    plan = Plan({}, {}, [], [], set(), Settings(1, 1, ()), local_mesh())
    parcel = pickle.loads(executors.written(plan))._replace(process=0)
    jax.config.update(cache.FOLDER, None)
    compilation_cache.reset_cache()
    executors._opened(f"of a caller: {ours}", pickle.dumps(parcel))
    computed()
    assert bool(cache.files_of(folder)) == ours != bool([*folder.glob("*-cache")])


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="an option of x86")
def test_the_names_of_programs_hash_what_the_processor_can_do():
    """Else one that has less would run another one's instructions."""
    code = (
        "import hashlib, jax, numpy as np; from jax._src import cache_key;"
        "hashed, devices = hashlib.sha256(), np.array(jax.devices());"
        "cache_key._hash_accelerator_config(hashed, devices); print(hashed.hexdigest())"
    )
    options = ["", "--xla_cpu_max_isa=SSE4_2"]
    told = {start(code, XLA_FLAGS=option).communicate() for option in options}
    assert len(told) == 2 and {warned for _, warned in told} == {""}


SWEEP = """
import jax, jaxnoise as jn, optax
from jaxnoise.training import cache

cache.LEAST_SECONDS = 0
jn.use_all_cores()
jn.use_cache()

def recipe(stddev):
    model = jn.MLP((8,), 1, hidden_noise=jn.GaussianNoise(stddev))
    return jn.Recipe(model, jn.losses.binary_cross_entropy, optax.sgd(0.1))

data = jn.data.circles(20, 10, population=30)
size = {"seeds": 2, "epochs": 2, "batch_size": 4}
result = jn.sweep({"none": recipe}, strengths={}, data=data, **size)
print(result.runs["test_loss"].tolist())
"""


def start(code=SWEEP, **environment):
    outer = {k: v for k, v in os.environ.items() if not k.startswith(("JAX", "XLA"))}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=outer | {"JAX_PLATFORMS": "cpu"} | environment,
    )


@pytest.mark.slow
def test_processes_share_a_folder_at_the_same_time_and_later(tmp_path):
    """Their numbers are those without it, bit for bit, and none says anything."""
    here = {cache.SWITCH: str(tmp_path)}
    printed = {start(**{cache.SWITCH: "off"}).communicate()}
    printed |= {each.communicate() for each in [start(**here), start(**here)]}
    made = {file: told.st_ino for file, told in cache.files_of(tmp_path)}
    printed.add(start(**here).communicate())
    [(_, told)] = printed
    assert told == "" and any("on_device" in file.name for file in made)
    later = {file: told.st_ino for file, told in cache.files_of(tmp_path)}
    assert later == made
