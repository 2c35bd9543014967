"""The Python lines that do what `jaxnoise tune` did."""

from pathlib import Path
from pprint import pformat
from textwrap import dedent

from jaxnoise.command.answer import Answer
from jaxnoise.command.question import Question
from jaxnoise.command.tuning import Tuned

TEMPLATE = '''\
"""The network that `jaxnoise tune` offers, and the search for noise, in Python."""

import jaxnoise as jn
from jaxnoise.command.preparation import preparation
from jaxnoise.command.reading import read_table
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

table = read_table({file!r})
frame = table.frame[table.frame[{target!r}].notna()]
y = frame[{target!r}]
kinds = {kinds}
X = frame[[*kinds]]

settings = {settings}
chosen = {params}
offered = make_pipeline(preparation(kinds), jn.{kind}(**settings, **chosen))
scores = cross_val_score(offered, X, y, cv=5, scoring={scoring!r})
print("{scoring} of the network that is offered:", scores.mean())

model = make_pipeline(preparation(kinds), jn.{kind}(**settings))
search = jn.NoiseSearchCV(model, "noise", cv=5, scoring={scoring!r}).fit(X, y)
print(search.answer_)
'''


def script(file: Path, question: Question, tuned: Tuned, found: Answer) -> str:
    """A script as text; names of columns are written as Python writes them."""
    kind = "NoisyMLPClassifier" if question.classification else "NoisyMLPRegressor"
    size = tuned.size
    settings = {"early_stopping": True, "max_epochs": size.epochs}
    settings |= {"batch_size": size.batch, "random_state": 0}
    return dedent(TEMPLATE).format(
        file=str(file.resolve()),
        target=question.target,
        kinds=pformat(dict(question.kinds), sort_dicts=False),
        kind=kind,
        settings=pformat(settings, sort_dicts=False),
        params=pformat(dict(found.params)),
        scoring=question.scoring,
    )
