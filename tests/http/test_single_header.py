"""A header that says one thing and stands twice is refused: two readers could differ on it."""

from __future__ import annotations

import pytest

from tests.contract import refusal
from tests.stage import Headers, Stage

NAMES = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "StateSet-Version",
    "X-Account-Id",
)


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("name", NAMES)
async def test_a_header_that_stands_twice_is_refused_by_name(
    stage: Stage, name: str, *, same: bool
) -> None:
    party = await stage.open_account()
    before = await stage.dump()
    field = name.lower().encode()
    ours: Headers = [
        (b"authorization", f"Bearer {party.key}".encode()),
        (b"content-type", b"application/json"),
    ]
    own = dict(ours).get(field, b"once")
    given = [each for each in ours if each[0] != field]
    given = [*given, (field, own if same else b"other"), (b"accept", b"*/*"), (field, own)]
    reply = await stage.send("POST", b"/v1/api_keys", given, b'{"type": "public"}')
    refusal.is_(reply, 400, "parameter_invalid", name)
    assert await stage.dump() == before


async def test_headers_that_are_lists_may_stand_twice(stage: Stage) -> None:
    party = await stage.open_account()
    given: Headers = [(b"authorization", f"Bearer {party.key}".encode())]
    given += [(b"accept", b"a/b"), (b"accept", b"c/d"), (b"via", b"x"), (b"via", b"y")]
    assert (await stage.send("GET", b"/v1/account", given)).status == 200
