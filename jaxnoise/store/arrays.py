"""Arrays as bytes in the layout of safetensors, and trees of arrays as arrays.

Eight bytes tell the length of a header in JSON, which tells the type, the shape and the
place of each array; what is read is no larger than what is there.
"""

import json
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxnoise.checks import shown

TYPES = dict(  # safetensors' names of types, and NumPy's
    zip(
        "BOOL U8 U16 U32 U64 I8 I16 I32 I64 F16 F32 F64 BF16 F8_E4M3 F8_E5M2".split(),
        "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 float32 "
        "float64 bfloat16 float8_e4m3fn float8_e5m2".split(),
        strict=True,
    )
)
NAMES = {name: short for short, name in TYPES.items()}


def packed(arrays: Mapping[str, Any], about: Any = None) -> bytes:
    """Arrays by name, and what is said about them, as bytes."""
    header: dict[str, Any] = {"__metadata__": {"about": json.dumps(about)}}
    parts, at = [], 0
    for name, array in arrays.items():
        if array.dtype.name not in NAMES:
            raise TypeError(f"{name} must be of a type of files, got {array.dtype}.")
        parts.append(np.ascontiguousarray(array).tobytes())
        place = [at, at := at + len(parts[-1])]
        header[name] = {
            "dtype": NAMES[array.dtype.name],
            "shape": array.shape,
            "data_offsets": place,
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def unpacked(content: bytes) -> tuple[dict[str, np.ndarray], Any]:
    """What `packed` was given."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    about = json.loads(header.pop("__metadata__")["about"])
    arrays = {}
    for name, told in header.items():
        first, last = told["data_offsets"]
        dtype = jnp.dtype(TYPES[told["dtype"]])
        values = np.frombuffer(content[start + first : start + last], dtype)
        arrays[name] = values.reshape(told["shape"])[()].copy()
    return arrays, about


def packed_tree(tree: Any) -> bytes:
    """A tree of dicts, lists and tuples of arrays as bytes."""
    leaves: dict[str, np.ndarray] = {}
    form = taken_apart(tree, (), leaves)
    return packed(leaves, form)


def unpacked_tree(content: bytes) -> Any:
    """What `packed_tree` was given."""
    leaves, form = unpacked(content)
    return put_together(form, leaves)


def taken_apart(node: Any, path: tuple[str, ...], leaves: dict[str, Any]) -> Any:
    """The form of a tree, in which leaves are names."""
    if node is None:
        return None
    if type(node) is dict and all(isinstance(name, str) for name in node):
        return {k: taken_apart(v, (*path, k), leaves) for k, v in node.items()}
    if type(node) in (list, tuple):
        parts = [taken_apart(v, (*path, str(i)), leaves) for i, v in enumerate(node)]
        return [type(node).__name__, *parts]
    if not isinstance(node, np.ndarray | np.generic):
        raise TypeError(
            "variables must be dicts, lists and tuples of arrays to be stored, got "
            f"{shown(node)} in {'/'.join(path)}; keep none, keep_params=False."
        )
    name = f"{len(leaves)}/{'/'.join(path)}"
    leaves[name] = node
    return name


def put_together(form: Any, leaves: dict[str, Any]) -> Any:
    """The tree of a form and its leaves by name."""
    if form is None:
        return None
    if isinstance(form, dict):
        return {name: put_together(part, leaves) for name, part in form.items()}
    if isinstance(form, list):
        kind, *parts = form
        made = [put_together(part, leaves) for part in parts]
        return tuple(made) if kind == "tuple" else made
    return leaves[form]
