"""Figures from results: the only place that imports matplotlib.

Functions with one panel draw on the axes ``ax``, or on those of a new figure, and
return the axes; functions with several panels take ``ax`` as a sequence of axes, one a
panel, and return the figure. They show numbers of `jn.compare` and of the runs, and
compute none of their own: what they take is a result, a table of runs, or a
`Comparison`, of which its rows are drawn and nothing is computed again.
`strength_curve` and `learning_curves` are what most sweeps want.
"""

from jaxnoise.evidence.plots.curves import certified_accuracy as certified_accuracy
from jaxnoise.evidence.plots.curves import learning_curves as learning_curves
from jaxnoise.evidence.plots.curves import noise_curve as noise_curve
from jaxnoise.evidence.plots.curves import reliability as reliability
from jaxnoise.evidence.plots.differences import forest as forest
from jaxnoise.evidence.plots.differences import score_distribution as score_distribution
from jaxnoise.evidence.plots.differences import seed_slopes as seed_slopes
from jaxnoise.evidence.plots.maps import corruption_panel as corruption_panel
from jaxnoise.evidence.plots.maps import noise_matrix as noise_matrix
from jaxnoise.evidence.plots.maps import strength_heatmap as strength_heatmap
from jaxnoise.evidence.plots.planes import decision_regions as decision_regions
from jaxnoise.evidence.plots.planes import scatter as scatter
from jaxnoise.evidence.plots.sets import sets_forest as sets_forest
from jaxnoise.evidence.plots.strengths import strength_curve as strength_curve

__all__ = [
    "certified_accuracy",
    "corruption_panel",
    "decision_regions",
    "forest",
    "learning_curves",
    "noise_curve",
    "noise_matrix",
    "reliability",
    "scatter",
    "score_distribution",
    "sets_forest",
    "seed_slopes",
    "strength_curve",
    "strength_heatmap",
]


def __dir__() -> list[str]:
    return list(__all__)
