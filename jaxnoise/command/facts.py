"""What there is: noises, and the machine."""

import inspect
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jaxnoise.noise import functions, gradients, rows
from jaxnoise.training.cache import FOLDER, files_of, use_cache
from jaxnoise.training.devices import core_count, use_all_cores

NOISES = {
    "add_gaussian_noise": "GaussianNoise",
    "add_noise": "Noise",
    "add_correlated_noise": "CorrelatedNoise",
    "salt_and_pepper": "SaltAndPepperNoise",
    "multiply_gaussian_noise": "GaussianDropout",
    "drop_units": "Dropout",
    "alpha_dropout": "AlphaDropout",
    "neftune_noise": "NEFTuneNoise",
    "flip_labels": "Recipe(label_noise=)",
    "swap_noise": "SwapNoise",
    "block_mask": "BlockMask",
    "drop_path": "DropPath",
    "mixup": "Mixup",
    "noisy_feature_mixup": "Recipe(batch_noise=)",
    "target_noise": "Recipe(label_noise=)",
    "tree_add_gaussian_noise": "Recipe(weight_noise=)",
    "gradient_noise": "before an Optax optimiser",
    "anticorrelated_noise": "after an Optax optimiser",
    "langevin_noise": "an Optax optimiser",
}
PACKAGES = ("jaxnoise", "jax", "flax", "optax", "scikit-learn", "skrub", "keras")


def noises_table() -> list[dict[str, str]]:
    """A row a noise: its function, its layer or place, and what it does."""
    return [
        {"function": name, "layer": layer, "what": _first_sentence(name)}
        for name, layer in NOISES.items()
    ]


def _first_sentence(name: str) -> str:
    homes = (functions, rows, gradients)
    home = next(home for home in homes if hasattr(home, name))
    text = inspect.getdoc(getattr(home, name)) or ""
    return " ".join(text.partition("\n\n")[0].replace("`", "").split())


def machine_facts() -> tuple[dict[str, Any], list[str]]:
    """What a run would find here, and what would make it faster."""
    import jax
    import psutil

    cores = core_count()
    use_all_cores()
    use_cache()
    devices = jax.devices()
    memory = psutil.virtual_memory()
    free, whole = memory.available / 2**30, memory.total / 2**30
    facts: dict[str, Any] = {
        "devices": f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})",
        "cores": cores,
        "memory": f"{free:.1f} of {whole:.1f} GiB free",
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "compilation cache": _programs(jax.config.values[FOLDER]),
    }
    return facts, _advice(devices, cores, facts)


def _programs(folder: str | None) -> str:
    if folder is None:
        return "none"
    files = files_of(Path(folder))
    size = sum(told.st_size for _, told in files) / 2**20
    return f"{folder} ({len(files)} programs of ours, {size:.1f} MiB)"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _advice(devices: list[Any], cores: int, facts: dict[str, Any]) -> list[str]:
    advice, load = [], os.getloadavg()[0]
    if devices[0].platform == "cpu" and len(devices) < cores:
        advice.append(
            "call jaxnoise.use_all_cores() first: runs take turns on one core"
        )
    if load > cores / 2:
        advice.append(
            f"other programs use the cores: the load is {os.getloadavg()[0]:.1f}"
        )
    if facts["compilation cache"] == "none":
        advice.append("JAXNOISE_CACHE=folder keeps compiled programs between processes")
    if facts["skrub"] == "not installed":
        advice.append('jaxnoise tune takes python -m pip install "jaxnoise[table]"')
    return advice
