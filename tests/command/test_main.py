"""The smaller commands: what is in a store, which noises there are, the machine."""

import json
import os

import optax
import pytest

import jaxnoise as jn
from jaxnoise.command.facts import NOISES
from tests.command.conftest import invoke


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    def recipe(stddev):
        model = jn.MLP((4,), 1, hidden_noise=jn.GaussianNoise(stddev))
        loss = jn.losses.binary_cross_entropy
        metrics = {"accuracy": jn.metrics.binary_accuracy}
        return jn.Recipe(model, loss, optax.adam(1e-2), metrics=metrics)

    path = tmp_path_factory.mktemp("store") / "results.sqlite"
    jn.sweep(
        {"none": recipe, "hidden": recipe},
        strengths={"hidden": [0.1]},
        data=jn.data.circles(),
        seeds=6,
        epochs=2,
        batch_size=32,
        store=path,
    )
    return path


def test_runs_are_listed(store):
    result = invoke("runs", store, "--json")
    rows = json.loads(result.stdout)["runs"]
    assert len(rows) == len(jn.Store(store).runs) == 12
    assert {row["placement"] for row in rows} == {"none", "hidden"}
    assert len(invoke("runs", store).stdout.splitlines()) == 13


def test_a_page_is_written_of_a_store(store, tmp_path):
    page = tmp_path / "page.html"
    line = "report", store, "--metric", "test_accuracy", "--out", page
    assert invoke(*line).stdout == f"the page is {page}\n"
    assert "hidden" in page.read_text("utf-8")


@pytest.mark.parametrize("command", ["runs", "report"])
def test_what_is_no_store_is_refused(command, tmp_path):
    (tmp_path / "no.sqlite").write_text("nothing")
    result = invoke(command, tmp_path / "no.sqlite")
    assert result.exit_code == 2 and result.stderr.count("\n") == 1


def test_every_noise_function_is_listed():
    """Those on arrays, on rows, and the transforms for Optax."""
    homes = {f"jaxnoise.noise.{name}" for name in ("functions", "rows", "gradients")}
    ours = {
        name
        for name in jn.__all__
        if getattr(getattr(jn, name), "__module__", "") in homes
    }
    assert {*NOISES} == ours - {"max_norm", "neelakantan_schedule"}
    rows = json.loads(invoke("noises", "--json").stdout)["noises"]
    assert [row["function"] for row in rows] == [*NOISES]
    assert all(row["what"].endswith(".") for row in rows)
    assert all(hasattr(jn, row["layer"].partition("(")[0]) for row in rows[:-3])


def test_the_doctor_tells_what_there_is():
    facts = json.loads(invoke("doctor", "--json").stdout)
    assert facts["devices"].endswith("(cpu)") and facts["cores"] >= 1
    assert os.environ["JAXNOISE_CACHE"] in facts["compilation cache"]
    assert all(isinstance(line, str) for line in facts["advice"])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(shell):
    assert "_JAXNOISE_COMPLETE" in invoke("completion", shell).stdout


@pytest.mark.parametrize(
    "line", [["tune"], ["tune", "absent.csv", "--target", "y"], ["nothing"]]
)
def test_a_wrong_line_is_bad_input(line):
    assert invoke(*line).exit_code == 2


def test_help_of_every_command_has_an_example_or_needs_none():
    for command in ("tune", "predict", "report", "runs", "completion"):
        assert f"jaxnoise {command} " in invoke(command, "--help").stdout
