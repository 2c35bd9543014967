"""Data sets of a run, where to get some, and how to split your own.

`Data` names the sets of one split. *Drawn afresh*: `circles` is the task of the case
study; `moons`, `spirals`, `blobs` and the regression task `sine` take what it takes.
*Real*: the tables `breast_cancer`, `wine` and `diabetes`, the images `digits` and
`mnist5k`, the series `mnist1d`, `italy_power_demand` and `japanese_vowels`, which all
come with packages: nothing is downloaded. *Splits*: `folds` and `nested_folds` divide
data of your own, `draws` draws a task or a data set several times. `check_fits` refuses
what does not fit into memory.
"""

from jaxnoise.data.drawing import draws as draws
from jaxnoise.data.images import digits as digits
from jaxnoise.data.images import mnist5k as mnist5k
from jaxnoise.data.memory import check_fits as check_fits
from jaxnoise.data.series import italy_power_demand as italy_power_demand
from jaxnoise.data.series import japanese_vowels as japanese_vowels
from jaxnoise.data.series import mnist1d as mnist1d
from jaxnoise.data.sets import Data as Data
from jaxnoise.data.sets import row_count as row_count
from jaxnoise.data.shapes import blobs as blobs
from jaxnoise.data.shapes import moons as moons
from jaxnoise.data.shapes import spirals as spirals
from jaxnoise.data.splits import folds as folds
from jaxnoise.data.splits import nested_folds as nested_folds
from jaxnoise.data.tables import breast_cancer as breast_cancer
from jaxnoise.data.tables import diabetes as diabetes
from jaxnoise.data.tables import wine as wine
from jaxnoise.data.tasks import Bayes as Bayes
from jaxnoise.data.tasks import circles as circles
from jaxnoise.data.tasks import circles_bayes as circles_bayes
from jaxnoise.data.tasks import sine as sine


def __dir__() -> list[str]:
    public = (name for name in globals() if not name.startswith("_"))
    return sorted(name for name in public if callable(globals()[name]))
