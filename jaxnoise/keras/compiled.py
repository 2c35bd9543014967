"""What ``compile`` was given, as the parts of a recipe.

Losses and metrics that Keras averages become values a row; metrics that are no means
are computed on the host; the optimiser is Keras' own, by ``stateless_apply``.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from jaxnoise.keras.network import Network, WithLosses
from jaxnoise.noise.keras import keras
from jaxnoise.training.recipe import PerRow, Recipe

resolve = keras.src.trainers.compile_utils  # as ``fit`` does
OWN = ("train_step", "compute_loss", "compute_loss_and_updates")  # what is Keras' here
MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")
ALONE = "or train it by jn.Recipe(model=jn.keras.model(build), loss=..., optimizer=...)"


def recipe_of(network: Network) -> Recipe:
    """The recipe of a compiled model."""
    net = network.net
    if not net.compiled:
        raise ValueError(
            "build must return a compiled model: call model.compile(optimizer=..., "
            f"loss=..., metrics=[...]) in it, {ALONE}."
        )
    own = [name for name in OWN if getattr(type(net), name) is not _of_keras(name)]
    if own:
        raise ValueError(
            f"build must return a model with Keras' {own[0]}, got that of "
            f"{type(net).__name__}, which a sweep does not call; leave it out, {ALONE}."
        )
    given = net._compile_config.config
    if given["loss_weights"] is not None or len(_flat(given["loss"])) != 1:
        raise ValueError(
            "build must compile its model with one loss, for one output, and without "
            f"loss_weights, got loss={given['loss']!r} and "
            f"loss_weights={given['loss_weights']!r}."
        )
    metrics: dict[str, PerRow] = {}
    set_metrics: dict[str, Callable[[Any, Any], float]] = {}
    for name, each in _named(given).items():
        metric = resolve.get_metric(each, _ONE, _ONE)
        if isinstance(metric, keras.metrics.MeanMetricWrapper):
            metrics[name] = _row_metric(each)
        else:
            set_metrics[name] = _set_metric(metric)
    loss, optimizer = _loss(*_flat(given["loss"])), _optimizer(net)
    return Recipe(network, loss, optimizer, metrics, set_metrics=set_metrics)


_ONE = keras.KerasTensor((1, 1))  # a shape, for what does not look at it


def _named(given: Any) -> dict[str, Any]:
    """The metrics by the names that ``fit`` gives them."""
    named: dict[str, Any] = {}
    count: Counter[str] = Counter()
    for argument, prefix in {"metrics": "", "weighted_metrics": "weighted_"}.items():
        for each in _flat(given[argument]):
            name = resolve.get_metric(each, _ONE, _ONE).name
            name = f"{prefix}{name}" if count[name] else name
            named[f"{name}_{count[name]}" if count[name] else name] = each
            count[name] += 1
    return named


def _of_keras(name: str) -> Any:
    return getattr(keras.Model, name)


def _flat(given: Any) -> list[Any]:
    return [each for each in keras.tree.flatten(given) if each is not None]


def _loss(given: Any) -> PerRow:
    """The loss as values a row, whose mean is what ``fit`` trains by."""

    def loss(outputs: Any, targets: Any) -> Array:
        outputs, added = _apart(outputs)
        of = resolve.get_loss(given, targets, outputs)
        if of.reduction not in MEANS:
            raise ValueError(
                "loss must be averaged over rows, reduction='sum_over_batch_size', "
                f"got reduction={of.reduction!r}."
            )
        as_its = keras.ops.convert_to_tensor
        values = of.call(as_its(targets, of.dtype), as_its(outputs, of.dtype))
        return _by_row(values, outputs) + added

    return loss


def _row_metric(given: Any) -> PerRow:
    def metric(outputs: Any, targets: Any) -> Array:
        outputs, _ = _apart(outputs)
        of = resolve.get_metric(given, targets, outputs)
        return _by_row(of._fn(targets, outputs, **of._fn_kwargs), outputs)

    return metric


def _set_metric(metric: Any) -> Callable[[Any, Any], float]:
    kind, config = type(metric), metric.get_config()

    def of_set(targets: Any, outputs: Any) -> float:
        fresh = kind.from_config(config)
        fresh.update_state(targets, outputs)
        return float(fresh.result())

    return of_set


def _apart(outputs: Any) -> tuple[Any, Any]:
    """The outputs, and what layers add to the loss."""
    return outputs if isinstance(outputs, WithLosses) else (outputs, 0)


def _by_row(values: Any, outputs: Any) -> Array:
    """A number a row, whose mean is Keras' mean over all that is not masked.

    A function that gives one number for all rows gives it to each.
    """
    rows, values = outputs.shape[0], jnp.asarray(values)
    mask = keras.src.backend.get_keras_mask(outputs)
    if not values.ndim:
        return jnp.full((rows,), values)
    if mask is not None:
        mask = jnp.asarray(mask, values.dtype).reshape(
            *mask.shape, *(1,) * (values.ndim - mask.ndim)
        )
        values = values * mask * (mask.size / jnp.maximum(mask.sum(), 1))
    return values.reshape(rows, -1).mean(axis=1)


def _optimizer(net: Any) -> optax.GradientTransformation:
    """Keras' optimiser of a model as a transformation of Optax."""
    optimizer = net.optimizer
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        raise ValueError(
            "build must not scale its loss, as mixed_float16 does: take mixed_bfloat16."
        )
    if optimizer.use_ema and not optimizer.ema_overwrite_frequency:
        raise ValueError(
            "build must not have its optimizer average the weights by use_ema=True "
            "alone, as it is fit that puts averages in place when it ends: give it "
            "ema_overwrite_frequency, too."
        )
    if optimizer.built:
        raise ValueError(
            "build must make its optimizer itself, got one that another model has "
            'used: in build, call compile(optimizer="adam") or '
            "compile(optimizer=keras.optimizers.Adam(...))."
        )

    def ready(params: Any) -> None:
        if optimizer.built:
            return
        for variable, value in zip(net.trainable_variables, params, strict=True):
            variable.assign(value)  # which some optimisers copy
        with jax.ensure_compile_time_eval():  # zeros are the same for all traces
            optimizer.build(net.trainable_variables)

    def init(params: Any) -> Any:
        ready(params)
        return [variable.value for variable in optimizer.variables]

    def update(grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        scale = optimizer.loss_scale_factor or 1
        scaled = [grad * scale for grad in grads]  # which Keras divides by it
        ready(params)
        new, state = optimizer.stateless_apply(state, scaled, params)
        return jax.tree.map(jnp.subtract, new, list(params)), state

    return optax.GradientTransformation(init, update)
