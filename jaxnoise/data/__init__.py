"""Data sets of a run, where to get some, and how to split your own.

`Data` names the sets of one split. *Drawn afresh*: `circles` is the task of the case
study; `moons`, `spirals`, `blobs` and the regression task `sine` take what it takes.
*Splits*: `folds` and `nested_folds` divide data of your own, `draws` draws a task
several times. `check_fits` refuses what does not fit into memory.
"""

from jaxnoise.data.drawing import draws as draws
from jaxnoise.data.memory import check_fits as check_fits
from jaxnoise.data.sets import Data as Data
from jaxnoise.data.sets import row_count as row_count
from jaxnoise.data.shapes import blobs as blobs
from jaxnoise.data.shapes import moons as moons
from jaxnoise.data.shapes import spirals as spirals
from jaxnoise.data.splits import folds as folds
from jaxnoise.data.splits import nested_folds as nested_folds
from jaxnoise.data.tasks import Bayes as Bayes
from jaxnoise.data.tasks import circles as circles
from jaxnoise.data.tasks import circles_bayes as circles_bayes
from jaxnoise.data.tasks import sine as sine
