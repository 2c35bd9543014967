"""The pages of the API, from the docstrings; a warning is an error.

python .ci/api_pages.py results/api
"""

import sys
import warnings
from pathlib import Path

import pdoc

import jaxnoise as jn

warnings.simplefilter("error")
warnings.filterwarnings("ignore", r".* for pandas\.")  # of what our tables inherit
vars(jn).update({name: getattr(jn, name) for name in jn.__all__})  # on first use, too
pdoc.render.configure(docformat="google")
pdoc.pdoc("jaxnoise", jn.plots.__name__, output_directory=Path(sys.argv[1]))
