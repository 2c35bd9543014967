"""The experiments' modules, under other names than their files'."""

import importlib
import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
PARTS = ("_claims.", "_")  # what is imported by its own name


@pytest.fixture(scope="session")
def experiment():
    """A function that imports a module of the experiments by its name."""

    @cache
    def load(name):
        if name.startswith(PARTS):
            return importlib.import_module(name)
        spec = spec_from_file_location(f"script_{name}", EXPERIMENTS / f"{name}.py")
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    sys.path.append(str(EXPERIMENTS))  # last: a script has the name of a package
    yield load
    sys.path.remove(str(EXPERIMENTS))
