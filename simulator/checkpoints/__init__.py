"""A run saved atomically, verified and resumed to the same bits; digests of what a run is made of."""

from .checkpoint import Checkpoint
from .files import check_writable, write_atomically
from .fingerprint import fingerprint

__all__ = ["Checkpoint", "check_writable", "fingerprint", "write_atomically"]
