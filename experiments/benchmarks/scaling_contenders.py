"""Sweeps of growing size: time and peak memory against runs, units, rows and devices.

Every point is a process of its own, so that its peak memory is its own.
"""

from typing import Any

import circles_contenders
import numpy as np
from worker import Repeat


def sweep(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
    """A sweep with hidden noise over random data of the size asked for."""
    import jax
    import optax

    import jaxnoise as jn

    if options.get("devices"):
        jax.config.update("jax_num_cpu_devices", options["devices"])
    jn.use_all_cores()
    generator = np.random.default_rng(0)
    x = generator.standard_normal((options["rows"], 2)).astype(np.float32)
    y = (x[:, :1] * x[:, 1:] > 0).astype(np.float32)
    data = jn.Data(train=(x, y))

    def recipe(stddev: Any) -> jn.Recipe:
        return jn.Recipe(
            model=jn.MLP((options["units"],), 1, hidden_noise=jn.GaussianNoise(stddev)),
            loss=jn.losses.binary_cross_entropy,
            optimizer=optax.adam(**circles_contenders.ADAM),
            metrics={"accuracy": jn.metrics.binary_accuracy},
        )

    times: dict[str, float] = {}

    def repeat() -> None:
        result = jn.sweep(
            {"hidden": recipe},
            strengths={"hidden": [0.1]},
            data=data,
            seeds=options["seeds"],
            epochs=options["epochs"],
            batch_size=options.get("batch_size", 32),
            metrics_every=options.get("metrics_every", 1),
            progress=False,
        )
        times.setdefault("compile_seconds", result.compile_seconds)

    if options.get("warm", True):
        repeat()
    return repeat, times


CONTENDERS = {"sweep": sweep}
