"""TFRecord files and the protocol buffers in them, read without TensorFlow.

A record is its length (8 bytes), the masked CRC32C of these, the content, and the masked CRC32C of that, all little
endian (tensorflow/core/lib/io/record_writer). The content is a ``tf.train.Example``: features by name, each a list of
bytes, floats or ints.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from . import kernels
from .files import opened, whole

Features = dict[str, list[Any]]
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types


def masked_crc(data: bytes) -> int:
    """CRC32C, rotated and offset as TFRecords have it."""
    crc = int(kernels.crc32c(np.frombuffer(data, np.uint8), kernels.TABLE))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(path: Path) -> Iterator[tuple[str, bytes]]:
    """Where it stands, and the content of each record, checked; ValueError for a file that is damaged or none."""
    with whole(path), opened(path) as file:
        number = 0
        while head := file.read(12):
            where = f"record {number} of {path}"
            if len(head) < 12:
                raise ValueError(f"{where} is cut short after {len(head)} of the 12 bytes that begin it; copy it again")
            length, crc = struct.unpack("<QI", head)
            if masked_crc(head[:8]) != crc:
                what = "is damaged: the checksum of its length is wrong" if number else "is none of a TFRecord file"
                raise ValueError(f"{where} {what}; expected 8 bytes of length and their masked CRC32C")
            data = file.read(length + 4)
            if len(data) < length + 4:
                raise ValueError(f"{where} is cut short: {len(data)} of {length + 4} bytes are there; copy it again")
            if masked_crc(data[:length]) != int.from_bytes(data[length:], "little"):
                raise ValueError(f"{where} is damaged: the checksum of its {length} bytes is wrong; copy it again")
            yield where, data[:length]
            number += 1
    if not number:
        raise ValueError(f"{path} is empty: expected a TFRecord file")


def message(data: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field of a protocol buffer: ints, and bytes for all that has a length.

    Raises ValueError where the bytes are none.
    """
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"byte {at}: a field of wire type {wire}: expected 0, 1, 2 or 5")
        if at + size > end:
            raise ValueError(f"byte {at}: a field of {size} bytes, where {end - at} are left")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError(f"byte {at}: a number without an end")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def signed(value: int) -> int:
    """An int32 or int64 as a protocol buffer writes negative ones, in 64 bits."""
    return value - (1 << 64) if value >= 1 << 63 else value


def example(data: bytes) -> Features:
    """The features of a ``tf.train.Example`` by name: bytes, floats or ints."""
    features: Features = {}
    for number, content in message(data):
        for entry_number, entry in message(content) if number == 1 else ():
            if entry_number == 1:
                parts = dict(message(entry))
                features[_name(parts.get(1, b""))] = _values(parts.get(2, b""))
    return features


def _name(data: Any) -> str:
    return bytes(data).decode("utf-8")


def _values(feature: bytes) -> list[Any]:
    """The list of a ``tf.train.Feature``, packed or not."""
    values: list[Any] = []
    for kind, content in message(feature):
        for _, value in message(content):
            if kind == 2:
                values += np.frombuffer(value, "<f4").tolist()
            elif kind == 3 and isinstance(value, bytes):
                at = 0
                while at < len(value):
                    one, at = _varint(value, at)
                    values.append(signed(one))
            else:
                values.append(signed(value) if kind == 3 else value)
    return values


def texts(features: Features, key: str) -> list[str]:
    """The texts of a feature; ValueError where there is none of that name, or it holds something else."""
    return [value.decode("utf-8") for value in listed(features, key, bytes)]


def listed(features: Features, key: str, kind: type) -> list[Any]:
    """The values of a feature; ValueError where there is none of that name, or it holds something else."""
    if key not in features:
        raise ValueError(f"there is no feature {key!r}: expected it among {sorted(features)}")
    values = features[key]
    if wrong := [value for value in values if not isinstance(value, kind)]:
        raise ValueError(f"feature {key!r} holds {wrong[0]!r:.40}: expected {kind.__name__}")
    return values


def single(features: Features, key: str, kind: type) -> Any:
    """The one value of a feature."""
    values = texts(features, key) if kind is str else listed(features, key, kind)
    if len(values) != 1:
        raise ValueError(f"feature {key!r} has {len(values)} values: expected one")
    return values[0]
