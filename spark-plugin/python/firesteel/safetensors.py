"""Named tensors as bytes, in the format of safetensors.

The format is: eight bytes with the length of a JSON header, little-endian; the header, with type,
shape and offsets of each tensor; then the tensors in row-major order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(code)
    for name, code in {
        "F64": "<f8",
        "F32": "<f4",
        "F16": "<f2",
        "I64": "<i8",
        "I32": "<i4",
        "I16": "<i2",
        "I8": "i1",
        "U8": "u1",
        "BOOL": "?",
    }.items()
}
_NAMES = {dtype: name for name, dtype in _TYPES.items()}
_LENGTH_BYTES = 8
_ALIGNMENT = 8


def encode(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """Encodes tensors by name, in their order.

    Raises
    ------
    TypeError
        If the format does not support the element type of a tensor; the error names it.
    """
    header: dict[str, Any] = {}
    parts: list[bytes] = []
    start = 0
    for name, value in tensors.items():
        array = np.asarray(value)
        kind = _NAMES.get(array.dtype.newbyteorder("<"))
        if kind is None:
            raise TypeError(f"the tensor '{name}' has elements of type {array.dtype}")
        part = np.ascontiguousarray(array, _TYPES[kind]).tobytes()
        end = start + len(part)
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [start, end]}
        parts.append(part)
        start = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return b"".join([len(text).to_bytes(_LENGTH_BYTES, "little"), text, *parts])


def decode(content: bytes) -> dict[str, NDArray[Any]]:
    """Decodes tensors by name, in the order in which they are stored; the arrays are read-only.

    Raises
    ------
    ValueError
        If the bytes are not in this format; the error says what is wrong.
    """
    start = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    if not _LENGTH_BYTES <= start <= len(content):
        raise ValueError("these are not safetensors: the header is longer than the bytes")
    try:
        header = json.loads(content[_LENGTH_BYTES:start])
    except ValueError as error:
        raise ValueError(f"these are not safetensors: the header is not JSON: {error}") from None
    header.pop("__metadata__", None)
    return {
        name: _tensor(name, entry, content, start)
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"][0])
    }


def _tensor(name: str, entry: dict[str, Any], content: bytes, start: int) -> NDArray[Any]:
    dtype = _TYPES.get(entry["dtype"])
    if dtype is None:
        raise ValueError(f"the tensor '{name}' has elements of the unknown type {entry['dtype']}")
    shape = tuple(entry["shape"])
    first, last = entry["data_offsets"]
    count = int(np.prod(shape, dtype=np.int64))
    if last - first != count * dtype.itemsize or start + last > len(content):
        raise ValueError(f"the tensor '{name}' of shape {shape} is not where the header says")
    return np.frombuffer(content, dtype, count, start + first).reshape(shape)
