"""Pickles of what holds functions: by where they are defined and what they hold.

Python pickles a function by its name alone, so that the initialisers of Flax, the
transforms of Optax and the activations of JAX, made by other functions or wrapped, are
refused. A pickle holds no code: who reads it needs the same libraries.
"""

import inspect
import io
import pickle
from pkgutil import resolve_name
from types import CellType, CodeType, FunctionType
from typing import Any


class Pickled:
    """A class whose instances may hold functions of any kind, and be pickled."""

    def __reduce__(self) -> Any:
        """Return what pickle asks for, with the functions taken care of."""
        kind, state = type(self), self.__getstate__()
        try:
            return _read, (kind, _written(state))
        except (AttributeError, TypeError, pickle.PicklingError):
            return _new, (kind,), state  # to be copied, or refused by pickle itself


def _written(value: Any) -> bytes:
    file = io.BytesIO()
    _Pickler(file).dump(value)
    return file.getvalue()


def _new(kind: Any) -> Any:
    return kind.__new__(kind)


def _read(kind: Any, written: bytes) -> Any:
    new = _new(kind)
    vars(new).update(pickle.loads(written))
    return new


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        """How to make a function again: by its name, or from its outer function."""
        if isinstance(value, type) or not callable(value):
            return NotImplemented
        place = f"{getattr(value, '__module__', '')}:{_name(value)}"
        plain = isinstance(value, FunctionType)
        if not plain and _resolved(place) is value:
            return resolve_name, (place,)
        if not plain or "<locals>" not in place:
            return NotImplemented
        outer = place.partition(".<locals>")[0]
        codes = _codes(outer)
        if value.__code__ not in codes:
            return NotImplemented
        made = outer, codes.index(value.__code__), len(value.__closure__ or ())
        held = [cell.cell_contents for cell in value.__closure__ or ()]
        state = held, value.__defaults__, value.__kwdefaults__, vars(value)
        return _function, made, state, None, None, _fill


def _name(value: Any) -> str:
    return str(getattr(value, "__qualname__", getattr(value, "__name__", "")))


def _resolved(place: str) -> Any:
    try:
        return resolve_name(place)
    except (AttributeError, ImportError, ValueError):
        return None


def _codes(outer: str) -> list[CodeType]:
    """Of the functions that are defined inside of another, at any depth."""
    code = getattr(inspect.unwrap(_resolved(outer)), "__code__", None)
    found = [code] if code else []
    for each in found:
        found += [const for const in each.co_consts if isinstance(const, CodeType)]
    return found


def _function(outer: str, index: int, cells: int) -> FunctionType:
    code = _codes(outer)[index]
    scope = inspect.unwrap(_resolved(outer)).__globals__
    return FunctionType(code, scope, closure=tuple(CellType() for _ in range(cells)))


def _fill(function: Any, state: Any) -> None:
    """Cells last, as a function may hold itself."""
    held, function.__defaults__, function.__kwdefaults__, attributes = state
    vars(function).update(attributes)
    for cell, content in zip(function.__closure__ or (), held, strict=True):
        cell.cell_contents = content
