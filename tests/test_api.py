"""The public list: one style for all of it."""

import inspect
import re

import pytest

import jaxnoise as jn

NAMES = sorted(
    name
    for name in dir(jn)
    if not name.startswith("_")
    and not inspect.ismodule(getattr(jn, name))
    and getattr(getattr(jn, name), "__module__", "").startswith("jaxnoise")
)
MODULES = (jn.losses, jn.metrics, jn.data, jn.plots, jn.corruptions)
NNX = {f"nnx.{name}": getattr(jn.nnx, name) for name in dir(jn.nnx)}
KERAS = {f"keras.{name}": getattr(jn.keras, name) for name in dir(jn.keras)}
FUNCTIONS = {name: getattr(jn, name) for name in NAMES} | {
    f"{module.__name__.split('.')[-1]}.{name}": value
    for module in MODULES
    for name in dir(module)
    if inspect.isfunction(value := getattr(module, name))
    and value.__module__.startswith(module.__name__)
}
FUNCTIONS |= NNX | KERAS
HELPERS = {"data.row_count"}
PUBLIC = {name: f for name, f in FUNCTIONS.items() if name not in HELPERS}
# Resampling of scores that are there already: without a key, that of key(0) is stated.
KEY_HAS_DEFAULT = {"compare", "report", "select"}
# A key, then a batch and a strength, or targets and two of them.
BATCHES = {"mixup", "noisy_feature_mixup", "target_noise"}
MODEL_FIRST = {
    "attack",
    "certify",
    "corruption_panel",
    "describe",
    "noise_curve",
    "predict_averaged",
    "robustness_report",
    "smoothed_predict",
}
# Nouns without a call of their own, and Flax's layer, whose fields are Flax's.
VARIABLES = {"nnx.NoiseStep", "nnx.NoiseStrength"}
RAISE_NOTHING = {"Model", "RunResult", "SweepResult", "Conv", "StoreError", *VARIABLES}
RAISE_NOTHING |= {"data.tables", "use_cache"}
TOLD_ONCE = {  # what data sets raise, in help(jn.data)
    f"data.{name}" for name in re.findall(r"^\| `(\w+)`", jn.data.__doc__, re.M)
}
EVIDENCE = {"compare", "select", "seeds_needed"}


def test_the_public_list():
    assert NAMES == [
        "AlphaDropout",
        "BlockMask",
        "CNN",
        "Conv",
        "CorrelatedNoise",
        "Data",
        "DropConnectDense",
        "DropPath",
        "Dropout",
        "GaussianDropout",
        "GaussianNoise",
        "Learnable",
        "MLP",
        "Mixup",
        "Model",
        "NEFTuneNoise",
        "Noise",
        "NoiseSearchCV",
        "NoisyDense",
        "NoisyMLPClassifier",
        "NoisyMLPRegressor",
        "NoisyNetClassifier",
        "NoisyNetRegressor",
        "RNN",
        "Recipe",
        "RunResult",
        "SaltAndPepperNoise",
        "Store",
        "StoreError",
        "SwapNoise",
        "SweepResult",
        "add_correlated_noise",
        "add_gaussian_noise",
        "add_noise",
        "alpha_dropout",
        "anticorrelated_noise",
        "attack",
        "block_mask",
        "calibration",
        "certified_accuracy",
        "certify",
        "clipped",
        "compare",
        "compare_many",
        "concat",
        "corruption_panel",
        "describe",
        "drop_path",
        "drop_units",
        "flip_labels",
        "gradient_noise",
        "langevin_noise",
        "load",
        "make_train",
        "max_norm",
        "mixup",
        "multiply_gaussian_noise",
        "neelakantan_schedule",
        "neftune_noise",
        "noise_curve",
        "noisy_feature_mixup",
        "predict_averaged",
        "refit",
        "relative",
        "report",
        "robustness_report",
        "salt_and_pepper",
        "seeds_needed",
        "select",
        "smoothed_predict",
        "snr_db",
        "straight_through",
        "strength_prior",
        "strip_noise",
        "swap_noise",
        "sweep",
        "sweep_until",
        "target_noise",
        "tree_add_gaussian_noise",
        "use_all_cores",
        "use_cache",
    ]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = jn.nothing
    assert not {"sys", "Any", "TYPE_CHECKING", "resolve_name"} & set(dir(jn))
    assert {f"nnx.{name}" for name in jn.nnx.__all__} == set(NNX)


@pytest.mark.parametrize("name", PUBLIC)
def test_signatures(name):
    """Key first and never ``rng``; nothing positional after the strength; randomness
    without a default, but where evidence resamples."""
    function = PUBLIC[name]
    if inspect.isclass(function):
        return
    signature = inspect.signature(function)
    parameters = signature.parameters
    typed = [signature.return_annotation, *(p.annotation for p in parameters.values())]
    assert inspect.Signature.empty not in typed
    assert not {"rng", "rng_key", "prng_key"} & set(parameters)
    if name in KEY_HAS_DEFAULT:
        assert parameters["key"].kind is inspect.Parameter.KEYWORD_ONLY
    elif "key" in parameters and name not in MODEL_FIRST:
        assert next(iter(parameters)) == "key"
        assert parameters["key"].default is inspect.Parameter.empty
        positional = [p for p in parameters.values() if p.kind is not p.KEYWORD_ONLY]
        assert len(positional) <= 3 + (name in BATCHES)
        assert all(p.default is p.empty for p in positional)


@pytest.mark.parametrize("name", PUBLIC)
def test_docstrings(name):
    """One line, arguments, errors, an example that runs, and the source."""
    function = PUBLIC[name]
    text = inspect.getdoc(function)
    first = text.split("\n")[0]
    assert first.endswith((".", "?")) or "\n\n" not in text[: len(first) + 2]
    assert ">>> " in text, "needs an example"
    assert "+SKIP" not in text, "that runs"
    assert "Raises:" in text or name in RAISE_NOTHING or name in TOLD_ONCE
    if inspect.isfunction(function):
        for parameter in inspect.signature(function).parameters:
            assert re.search(rf"^    \*{{0,2}}{parameter}: ", text, re.M), parameter
    noise = ".noise." in function.__module__
    noise &= name not in {"Noise", "nnx.Noise", "keras.Noise", *VARIABLES}
    if noise or name.startswith(("losses.", "metrics.")) or name in EVIDENCE:
        assert "Reference:" in text


def test_help_is_a_tour():
    """Every name in it is there, and all that most people need is in it."""
    named = re.findall(r"(?<!`)`([A-Za-z_]+)`(?!`)", jn.__doc__)
    assert not [name for name in named if not hasattr(jn, name)]
    wanted = {"GaussianNoise", "Recipe", "sweep", "compare", "report", "CNN", "RNN"}
    assert wanted <= set(named)


def test_names_of_sites():
    """A model's field for a site is ``<site>_noise``."""
    sites = {
        jn.MLP: ["input", "hidden", "activation", "residual"],
        jn.CNN: ["input", "hidden", "activation", "pool", "residual"],
        jn.RNN: ["input", "step", "output"],
    }
    for model, names in sites.items():
        fields = [f for f in model.__dataclass_fields__ if f.endswith("_noise")]
        assert fields == [f"{name}_noise" for name in names]


def test_typed():
    from importlib.resources import files

    assert files("jaxnoise").joinpath("py.typed").is_file()
