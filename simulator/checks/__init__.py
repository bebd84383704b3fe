"""The contracts of worlds and policies as one-line tests, for anybody who writes one.

    def test_my_world():
        check_world(MyWorld(...))

A failure is an AssertionError that says what was found and what to do about it.
"""

from .policy import check_policy
from .world import check_world

__all__ = ["check_policy", "check_world"]
