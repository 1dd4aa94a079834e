"""The stage of the contract's tests, for what is read: one database for each module."""

from tests.contract.conftest import play, stage

__all__ = ["play", "stage"]
