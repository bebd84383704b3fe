"""The compiled checksum of TFRecords."""

from typing import Any

import numpy as np

from ethogram.simulator.kernels import compiled

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed


def _table() -> np.ndarray[Any, Any]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


TABLE = _table()


@compiled
def crc32c(data: np.ndarray[Any, Any], table: np.ndarray[Any, Any]) -> int:
    """The checksum of bytes, (n,) uint8, by the table of single bytes (RFC 3720, B.4)."""
    crc = np.uint32(0xFFFFFFFF)
    for byte in data:
        crc = table[(crc ^ byte) & np.uint32(0xFF)] ^ (crc >> np.uint32(8))
    return crc ^ np.uint32(0xFFFFFFFF)  # type: ignore[return-value]  # an int, compiled
