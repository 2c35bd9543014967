"""The Python lines that do what `jaxnoise tune` did."""

from collections.abc import Mapping
from pathlib import Path
from pprint import pformat
from textwrap import dedent
from typing import Any

from jaxnoise.command.answer import Answer
from jaxnoise.command.divisions import OUTER
from jaxnoise.command.question import Question
from jaxnoise.command.tuning import Tuned

TEMPLATE = '''\
"""The network that `jaxnoise tune` offers, and the search for noise, in Python."""

import jaxnoise as jn
import numpy as np
from jaxnoise.command.divisions import divide
from jaxnoise.command.preparation import preparation
from jaxnoise.command.question import ask
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

question = ask({file!r}, {target!r}, **{asked})
X, y, kinds = question.X, question.y, question.kinds
divisions = divide(question, inner=1, repeats={repeats}, seed={seed})
folds = [(np.concatenate([d.train, d.validation]), d.test) for d in divisions]

settings = {settings}
chosen = {params}
offered = make_pipeline(preparation(kinds), jn.{kind}(**settings, **chosen))
scores = cross_val_score(offered, X, y, cv=folds, scoring={scoring!r})
print("{scoring} of the network that is offered:", scores.mean())

model = make_pipeline(preparation(kinds), jn.{kind}(**settings))
search = jn.NoiseSearchCV(model, "noise", cv=folds, scoring={scoring!r}).fit(X, y)
print(search.answer_)
'''


def script(
    file: Path,
    question: Question,
    tuned: Tuned,
    found: Answer,
    asked: Mapping[str, Any],
) -> str:
    """A script as text; names of columns are written as Python writes them.

    Args:
        file: of the rows.
        question: that they ask.
        tuned: what was tried.
        found: the answer.
        asked: options of `ask`, the seed among them.
    """
    kind = "NoisyMLPClassifier" if question.classification else "NoisyMLPRegressor"
    size = tuned.size
    given = {k: v for k, v in asked.items() if v not in (None, ())}
    if "test" in given:
        given["test"] = str(given["test"].resolve())
    settings = {"early_stopping": True, "max_epochs": size.epochs}
    settings |= {"batch_size": size.batch, "random_state": 0}
    return dedent(TEMPLATE).format(
        file=str(file.resolve()),
        target=question.target,
        asked=pformat(given, sort_dicts=False),
        seed=asked["seed"],
        repeats=max(1, tuned.folds // OUTER),
        kind=kind,
        settings=pformat(settings, sort_dicts=False),
        params=pformat(dict(found.params)),
        scoring=question.scoring,
    )
