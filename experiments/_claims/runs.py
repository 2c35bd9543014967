"""Training the plan, in rounds, and the noise that is left on at test time.

A round of `run_all` is a draw of the data with its share of the seeds, so that an
interrupt leaves whole draws.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from _recipes import clean_backward, recipe

import jaxnoise as jn
from _claims.plan import (
    STUDIES,
    TEST_TIME,
    Cell,
    Size,
    Study,
    data_of,
    levels_of,
    run_count,
)

BATCH_SIZE = 32
MEASURED_EVERY = 20  # epochs
PASSES = 10  # with the noise left on
TEST_TIME_METRICS = tuple(
    f"{kind}_population_{metric}"
    for kind in ("noisy", "averaged")
    for metric in ("accuracy", "loss")
)


def run_all(
    size: Size, progress: Callable[[int, int], None] = lambda done, total: None
) -> jn.SweepResult:
    """All the runs, or after an interrupt those that finished, as one result.

    ``progress`` is told the numbers of finished and of all runs. The table has a column
    ``study``, and for the cells of `TEST_TIME` metrics of the population with the noise
    left on.
    """
    done: list[jn.SweepResult] = []
    complete, (total, _) = True, run_count(size)

    def told(now: int, _: int) -> None:
        progress(sum(len(result.runs) for result in done) + now, total)

    try:
        for each in _rounds(size):
            result = _train(*each, size, told)
            if len(result.runs):
                done.append(result)
            complete = result.complete
            if not complete:
                break
    except KeyboardInterrupt:
        complete = False
    except Exception as error:  # what has finished is not lost with it
        error.result = _joined(done, False)  # type: ignore[attr-defined]
        raise
    return _joined(done, complete)


def _rounds(size: Size) -> Iterator[tuple[Study, list[int], int]]:
    """Study, seeds and draw, one sweep after the other."""
    shares = np.array_split(np.arange(size.seeds) + size.first, size.draws)
    for draw, seeds in enumerate(shares, size.first):
        for study in STUDIES:
            if not study.by_seed:
                yield study, [draw], draw
            elif len(seeds):
                yield study, seeds.tolist(), draw


def _plain(_: Any) -> jn.Recipe:
    return recipe({})


def _programs(study: Study, size: Size) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """Recipes and strengths by program, and which cell a run of them is."""
    recipes: dict[str, Any] = {}
    strengths: dict[str, list[dict[str, float]]] = {}
    rows = []
    for number, cell in enumerate(study.cells):
        levels = levels_of(cell, size)
        name = " ".join(["clean"] * cell.clean + sorted(levels))
        columns = {f"strength.{part}": level for part, level in levels.items()}
        if levels:
            recipes[name] = clean_backward if cell.clean else recipe
            strengths.setdefault(name, []).append(levels)
        else:
            recipes[name], columns["strength"] = _plain, 0.0
        rows.append({"placement": name, **columns, "cell": number})
    return recipes, strengths, pd.DataFrame(rows)


def _train(
    study: Study,
    seeds: list[int],
    draw: int,
    size: Size,
    progress: Callable[[int, int], None],
) -> jn.SweepResult:
    """The cells of a study on one data set; the table has the cells' own columns."""
    recipes, strengths, plan = _programs(study, size)
    data = data_of(study, draw, size)
    result = jn.sweep(
        recipes,
        strengths=strengths,
        data=data,
        seeds=seeds,
        epochs=size.epochs * study.longer,
        batch_size=BATCH_SIZE,
        metrics_every=MEASURED_EVERY * study.longer,
        keep_params=True,  # everywhere, as with it a program is another one
        progress=progress,
    )
    if result.runs.empty:
        return result
    on = [column for column in plan if column != "cell"]
    numbers = result.runs[on].merge(plan, how="left", on=on)["cell"]
    cells = [study.cells[number] for number in numbers]
    runs, complete = _renamed(result.runs, study, cells, draw), result.complete
    try:
        for row, cell in enumerate(cells):
            measured = (cell.placement, cell.strength) in TEST_TIME
            if study.name == "draws" and measured and runs.at[row, "finite"]:
                found = noisy_scores(cell, result.variables[row], data, seeds[0], size)
                runs.loc[row, list(found)] = list(found.values())
    except KeyboardInterrupt:  # the runs themselves are there
        complete = False
    return replace(result, runs=runs, variables=(None,) * len(runs), complete=complete)


def _renamed(
    runs: pd.DataFrame, study: Study, cells: list[Cell], draw: int
) -> pd.DataFrame:
    """A sweep's runs under the names of the study and its cells."""
    names = pd.DataFrame([{"study": study.name, **cell.columns()} for cell in cells])
    names["seed"], names["split"] = runs["seed"], 0 if study.by_seed else draw
    metrics = runs.loc[:, "train_accuracy":"finite"]
    last = metrics.pop("finite")
    unknown = dict.fromkeys(TEST_TIME_METRICS, np.nan)
    return pd.concat([names, metrics], axis=1).assign(**unknown, finite=last)


def noisy_scores(
    cell: Cell, variables: Any, data: jn.Data, seed: int, size: Size
) -> dict[str, float]:
    """Accuracy and loss on the population with the noise left on, under fresh keys.

    ``noisy`` is one pass (the mean over `PASSES` of them), ``averaged`` the prediction
    whose probability is the mean over the passes.
    """
    levels = levels_of(cell, size)
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 1), PASSES)
    x, y = data["population"]
    scores = _noisy_scores(variables, levels, jnp.asarray(x), jnp.asarray(y), keys)
    return {name: float(value) for name, value in scores.items()}


@jax.jit
def _noisy_scores(
    variables: Any, levels: Any, x: jax.Array, y: jax.Array, keys: jax.Array
) -> dict[str, jax.Array]:
    model = recipe(levels).model

    def one_pass(key: jax.Array) -> jax.Array:
        return model.apply(variables, x, train=True, rngs={"noise": key})

    logits = jax.lax.map(one_pass, keys)
    averaged = jax.nn.logsumexp(jax.nn.log_sigmoid(logits), axis=0)  # of log(mean p)
    averaged -= jax.nn.logsumexp(jax.nn.log_sigmoid(-logits), axis=0)  # a logit
    accuracy, loss = jn.metrics.binary_accuracy, jn.losses.binary_cross_entropy
    found = {}
    for name, score in (("accuracy", accuracy), ("loss", loss)):
        each = jax.vmap(partial(score, targets=y))(logits)
        found[f"noisy_population_{name}"] = each.mean()
        found[f"averaged_population_{name}"] = score(averaged, y).mean()
    return found


def _joined(done: list[jn.SweepResult], complete: bool) -> jn.SweepResult:
    """Many results as one; curves are NaN where a study has none."""
    if not done:
        return jn.SweepResult(pd.DataFrame(), {}, np.array([]), (), False, 0.0, 0.0, "")
    runs = pd.concat([result.runs for result in done], ignore_index=True)
    names = done[0].curves
    return replace(
        done[0],
        runs=runs,
        curves={n: np.concatenate([each.curves[n] for each in done]) for n in names},
        variables=(None,) * len(runs),
        complete=complete,
        compile_seconds=sum(result.compile_seconds for result in done),
        run_seconds=sum(result.run_seconds for result in done),
        origin=None,
    )
