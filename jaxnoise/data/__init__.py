"""Data sets of a run, where to get some, and how to split your own.

`Data` names the sets of one split. `circles` is the task of the case study; `folds` and
`nested_folds` divide data of your own, `draws` draws a task several times.
"""

from jaxnoise.data.sets import Data as Data
from jaxnoise.data.sets import row_count as row_count
from jaxnoise.data.splits import draws as draws
from jaxnoise.data.splits import folds as folds
from jaxnoise.data.splits import nested_folds as nested_folds
from jaxnoise.data.tasks import Bayes as Bayes
from jaxnoise.data.tasks import circles as circles
from jaxnoise.data.tasks import circles_bayes as circles_bayes
