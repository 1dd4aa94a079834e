"""Live keys come by HTTPS and from no browser; what proxies say counts where they are trusted."""

from __future__ import annotations

from typing import Any

import pytest

from commerce.http.request import Request
from commerce.http.transport import Came, Proxies
from commerce.kernel.network import Networks
from commerce.resource.registry import Endpoint
from commerce.settings import Settings
from tests.contract import refusal
from tests.contract.surface import ENDPOINTS, Rehearsal, filled, named
from tests.stage import Reply, Stage, app_over

OUTSIDE, INSIDE, LOCAL = "203.0.113.9", "10.0.0.7", "127.0.0.1"
PROXY = "10.1.2.3"


class Line(Stage):
    """The same stage, called over a line: from an address, in plain text or not."""

    scheme = "http"
    client: tuple[str, int] | None = (OUTSIDE, 4711)

    async def send(self, *given: Any, **named_: Any) -> Reply:
        http = self.app.http

        async def over_the_line(scope: Any, receive: Any, send: Any) -> None:
            await http({**scope, "scheme": self.scheme, "client": self.client}, receive, send)

        self.app.http = over_the_line  # type: ignore[assignment]
        try:
            return await super().send(*given, **named_)
        finally:
            self.app.http = http


def line(stage: Stage, peer: str | None, scheme: str = "http") -> Line:
    made = Line(stage.app, stage.url, stage.clock)
    made.client, made.scheme = None if peer is None else (peer, 4711), scheme
    return made


@pytest.fixture(scope="module")
async def live(stage: Stage, play: Rehearsal) -> str:
    return (await stage.in_mode(play.party.id, livemode=True)).key


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
async def test_a_live_key_in_plain_text_from_elsewhere_is_refused(
    stage: Stage, live: str, endpoint: Endpoint
) -> None:
    before = await stage.dump()
    reply = await line(stage, OUTSIDE).ask(filled(endpoint), live)
    refusal.is_(reply, 403, "https_required")
    # Nobody is trusted here, so nobody's word counts.
    for claim in ({"X_Forwarded_Proto": "https"}, {"X_Forwarded_For": LOCAL}):
        reply = await line(stage, OUTSIDE).ask(filled(endpoint), live, **claim)
        refusal.is_(reply, 403, "https_required")
    reply = await stage.ask(filled(endpoint), live, Sec_Fetch_Site="same-origin")
    refusal.is_(reply, 403, "secret_key_in_browser")
    assert await stage.dump() == before


@pytest.mark.parametrize("type_", ["public", "restricted"])
async def test_every_kind_of_live_key_needs_https_and_only_secret_ones_no_browser(
    stage: Stage, play: Rehearsal, type_: Any
) -> None:
    party = await stage.in_mode(play.party.id, livemode=True)
    key = await stage.make_key(party, type_, ["accounts:read"] * (type_ == "restricted"))
    reply = await line(stage, OUTSIDE).ask("GET /account", key)
    refusal.is_(reply, 403, "https_required")
    reply = await stage.ask("GET /account", key, Sec_Fetch_Site="cross-site")
    assert reply.status == (403 if type_ == "public" else 200)
    assert type_ == "restricted" or reply.error["code"] == "key_type_not_allowed"


@pytest.mark.parametrize("peer", [LOCAL, "127.8.8.8", "::1", "::ffff:127.0.0.1", None])
async def test_a_live_key_from_this_machine_may_come_in_plain_text(
    stage: Stage, live: str, peer: str | None
) -> None:
    assert (await line(stage, peer).ask("GET /account", live)).status == 200


async def test_https_is_good_from_everywhere_and_a_test_key_in_any_way(
    stage: Stage, play: Rehearsal, live: str
) -> None:
    assert (await line(stage, OUTSIDE, "https").ask("GET /account", live)).status == 200
    test = play.party.key
    assert (await line(stage, OUTSIDE).ask("GET /account", test)).status == 200
    browser = {"Sec_Fetch_Site": "cross-site"}
    assert (await line(stage, OUTSIDE).ask("GET /account", test, **browser)).status == 200


async def test_a_trusted_proxy_says_whether_it_was_https(stage: Stage, live: str) -> None:
    settings = Settings(network="both", trusted_proxies=Networks("10.1.0.0/16"))
    app = app_over(stage.url, settings, stage.clock)
    async with app.running():
        here = Stage(app, stage.url, stage.clock)
        for scheme, status in (("https", 200), ("HTTPS", 200), ("http", 403), ("", 403)):
            reply = await line(here, PROXY).ask(
                "GET /account", live, X_Forwarded_For=OUTSIDE, X_Forwarded_Proto=scheme
            )
            assert reply.status == status, scheme
        for peer in (OUTSIDE, INSIDE):
            reply = await line(here, peer).ask("GET /account", live, X_Forwarded_Proto="https")
            refusal.is_(reply, 403, "https_required")


FOR, PROTO = "x-forwarded-for", "x-forwarded-proto"


@pytest.mark.parametrize(
    ("client", "headers", "peer", "secure"),
    [
        # Nobody in between.
        (OUTSIDE, [], OUTSIDE, False),
        (LOCAL, [], LOCAL, True),
        # Somebody who is not trusted says what he likes.
        (OUTSIDE, [(FOR, "8.8.8.8"), (PROTO, "https")], OUTSIDE, False),
        (LOCAL, [(FOR, "8.8.8.8"), (PROTO, "http")], LOCAL, True),
        # One proxy.
        (PROXY, [(FOR, OUTSIDE), (PROTO, "https")], OUTSIDE, True),
        (PROXY, [(FOR, OUTSIDE), (PROTO, "http")], OUTSIDE, False),
        (PROXY, [(FOR, OUTSIDE)], OUTSIDE, False),
        (PROXY, [(PROTO, "https")], PROXY, True),
        (PROXY, [], PROXY, False),
        (f"::ffff:{PROXY}", [(FOR, OUTSIDE), (PROTO, "https")], OUTSIDE, True),
        # What stands to the left of who called the proxy is his own claim.
        (PROXY, [(FOR, f"8.8.8.8, {OUTSIDE}"), (PROTO, "https")], OUTSIDE, True),
        (PROXY, [(FOR, f"{LOCAL}, {OUTSIDE}")], OUTSIDE, False),
        (PROXY, [(FOR, f"10.1.0.1, {OUTSIDE}")], OUTSIDE, False),
        (PROXY, [(FOR, "8.8.8.8"), (FOR, OUTSIDE)], OUTSIDE, False),
        # Two proxies, and no more.
        (PROXY, [(FOR, f"8.8.8.8, {OUTSIDE}, 10.1.9.9"), (PROTO, "https")], OUTSIDE, True),
        (PROXY, [(FOR, OUTSIDE), (FOR, "10.1.9.9")], OUTSIDE, False),
        (PROXY, [(FOR, "10.1.4.4, 10.1.9.9"), (PROTO, "https")], "10.1.4.4", True),
        (PROXY, [(PROTO, "https, http")], PROXY, False),
        # Ports, brackets, quotes and the longer family.
        (PROXY, [(FOR, f"{OUTSIDE}:51000"), (PROTO, "https")], OUTSIDE, True),
        (PROXY, [(FOR, "[2001:db8::1]:51000")], "2001:db8::1", False),
        (PROXY, [(FOR, "2001:DB8:0::1")], "2001:db8::1", False),
        (PROXY, [(FOR, f'"{OUTSIDE}"')], OUTSIDE, False),
        # Somebody on the proxy's own machine.
        (PROXY, [(FOR, LOCAL)], LOCAL, True),
        # What is no address ends the search at who passed it on, and is nobody's machine.
        (PROXY, [(FOR, "unknown"), (PROTO, "https")], PROXY, True),
        (PROXY, [(FOR, f"{OUTSIDE}, unknown, 10.1.9.9")], "10.1.9.9", False),
        (PROXY, [(FOR, "")], PROXY, False),
        (PROXY, [(FOR, "x" * 9000)], PROXY, False),
        (PROXY, [(FOR, "1.2.3.4.5, ::g, 999.1.1.1")], PROXY, False),
        ("::1", [(FOR, "unknown")], "::1", False),
        ("::1", [(PROTO, "http")], "::1", False),
        ("::1", [(FOR, OUTSIDE), (PROTO, "http")], OUTSIDE, False),
        ("::1", [], "::1", True),
    ],
)
def test_where_a_request_came_from(
    client: str, headers: list[tuple[str, str]], peer: str, secure: bool
) -> None:
    proxies = Proxies(Networks("10.1.0.0/16", "::1"))
    given = [(name.encode(), text.encode()) for name, text in headers]
    scope = {"client": (client, 4711), "scheme": "http", "headers": given}
    assert proxies.came(scope) == Came(peer, secure=secure)


def test_within_the_process_there_is_no_peer() -> None:
    assert Proxies(Networks()).came({"headers": []}) == Came(None, secure=True)


async def test_the_peer_stands_on_the_request(
    stage: Stage, play: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []
    answer = stage.app.http._answer

    async def note(request: Request) -> Any:
        seen.append(request.peer)
        return await answer(request)

    monkeypatch.setattr(stage.app.http, "_answer", note)
    for peer in (OUTSIDE, None):
        await line(stage, peer).ask("GET /account", play.party.key, X_Forwarded_For=INSIDE)
    assert seen == [OUTSIDE, None]
