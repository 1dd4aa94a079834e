"""What makes two requests under one idempotency key the same request."""

from __future__ import annotations

from commerce.areas.stablecoin.transfer import transfer
from commerce.http import idempotency
from commerce.kernel.master_key import MasterKey
from commerce.resource.operation import Operation, Params

MASTER_KEY = MasterKey(bytes(32))
OPERATION: Operation = transfer.__operation__  # type: ignore[attr-defined]


class Asked(Params, frozen=True, kw_only=True):
    to: str
    memo: str | None = None


class AskedAfterAnUpgrade(Params, frozen=True, kw_only=True):
    to: str
    color: str = "blue"
    memo: str | None = None


def fingerprint(params: Params) -> bytes:
    key = idempotency.read(b"key", params, OPERATION, "key_1", MASTER_KEY)
    assert key is not None
    return key.fingerprint


def test_a_parameter_that_an_upgrade_brought_leaves_a_request_the_same() -> None:
    assert fingerprint(Asked(to="x")) == fingerprint(AskedAfterAnUpgrade(to="x"))
    assert fingerprint(Asked(to="x", memo="m")) == fingerprint(
        AskedAfterAnUpgrade(to="x", memo="m")
    )


def test_a_parameter_with_another_value_makes_another_request() -> None:
    asked = [
        AskedAfterAnUpgrade(to="x"),
        AskedAfterAnUpgrade(to="y"),
        AskedAfterAnUpgrade(to="x", color="red"),
        AskedAfterAnUpgrade(to="x", memo="m"),
    ]
    assert len({fingerprint(params) for params in asked}) == len(asked)
