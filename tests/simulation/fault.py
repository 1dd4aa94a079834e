"""Faults: what goes wrong in a process before which step of the store."""

from __future__ import annotations


class Fault:
    """Something that will go wrong, once the step has come so often."""

    def __init__(
        self, *, at: str, what: str, nth: int, seconds: float = 0.0, times: int = 1
    ) -> None:
        self.what = what
        self.seconds = seconds
        self._at = at
        self._before = nth - 1
        self._times = times

    def meets(self, step: str) -> bool:
        """Whether it goes wrong now."""
        if step != self._at:
            return False
        if self._before:
            self._before -= 1
            return False
        self._times -= 1
        return True

    @property
    def spent(self) -> bool:
        """Whether it will not go wrong again."""
        return self._times <= 0
