"""The reference in a real browser: found, read, and silent on the console and the network."""

from __future__ import annotations

import os

import pytest

from tests.browser import CHROMIUM, Browser, browsing
from tests.process import Server

REQUIRED = "TEST_BROWSER" in os.environ
pytestmark = pytest.mark.skipif(
    CHROMIUM is None and not REQUIRED, reason="there is no Chromium on this machine"
)


def outside(browser: Browser, server: Server) -> list[str]:
    """What was asked for elsewhere."""
    return [url for url in browser.requests if not url.startswith((f"{server.url}/", "data:,"))]


def test_an_operation_is_found_and_nothing_is_complained_of_or_loaded_from_elsewhere(
    server: Server,
) -> None:
    with browsing() as browser:
        browser.visit(f"{server.url}/docs")
        assert "Commerce Network" in browser.value("document.title")
        browser.click('a[href="/docs/stablecoin#post_stablecoin_transfer"]')
        heading = browser.value("document.querySelector(':target').innerText")
        assert "/stablecoin/transfer" in heading
        assert "curl" in browser.value("document.body.innerText")
        assert browser.value("getComputedStyle(document.body).display") == "flex"
        assert browser.complaints == []
        assert outside(browser, server) == []
        assert f"{server.url}/docs" in browser.requests


def test_the_browser_does_hear_of_errors_and_of_requests_elsewhere(server: Server) -> None:
    with browsing() as browser:
        browser.visit("data:text/html,<img src='http://127.0.0.1:9/x'><script>boom()</script>")
        assert browser.complaints
        assert "http://127.0.0.1:9/x" in outside(browser, server)
