"""A headless Chromium, spoken to over its debugging pipe: what it loads, what it complains of."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--remote-debugging-pipe",
)
_SECONDS_MAX = 30


class Browser:
    """One tab: what it is told it does before the call returns; what it reports is kept."""

    def __init__(self, reader: int, writer: int) -> None:
        self._reader = os.fdopen(reader, "rb", buffering=0)
        self._writer = os.fdopen(writer, "wb", buffering=0)
        self._number = 0
        self._rest = b""
        self._session: str | None = None
        self.requests: list[str] = []
        """The URL of everything it asked for."""
        self.complaints: list[str] = []
        """Errors and warnings on its console, and what failed to load."""

    def open_tab(self) -> Self:
        """Make the tab, and have it report."""
        target = self._tell("Target.createTarget", url="about:blank")["targetId"]
        attached = self._tell("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self._tell(f"{domain}.enable")
        return self

    def visit(self, url: str) -> None:
        """Open a page, and wait until it is loaded."""
        self._tell("Page.navigate", url=url)
        self._loaded()

    def click(self, selector: str) -> None:
        """Click the first such element, which leads to another page."""
        self.value(f"document.querySelector({json.dumps(selector)}).click()")
        self._loaded()

    def value(self, expression: str) -> Any:
        """What an expression gives on the page."""
        found = self._tell("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def _loaded(self) -> None:
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def _tell(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        self._writer.write(json.dumps(message).encode() + b"\0")
        while (heard := self._next()).get("id") != self._number:
            pass
        assert "error" not in heard, heard
        result: dict[str, Any] = heard["result"]
        return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._reader], [], [], _SECONDS_MAX)
            chunk = self._reader.read(1 << 16) if ready else b""
            assert chunk, "the browser has gone"
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\0")
        heard: dict[str, Any] = json.loads(line)
        self._note(heard.get("method", ""), heard.get("params", {}))
        return heard

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Network.loadingFailed":
            self.complaints.append(params["errorText"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.complaints.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"])

    def close(self) -> None:
        """Close both ends, at which the browser ends."""
        self._writer.close()
        self._reader.close()


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser with an empty profile of its own. It reads from descriptor 3 and writes to 4."""
    assert CHROMIUM is not None
    to_read, told = os.pipe()
    heard, to_write = os.pipe()
    profile = tempfile.mkdtemp(prefix="commerce-browser-")
    shell = f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}'
    command = ["bash", "-c", shell, CHROMIUM, *_OPTIONS, f"--user-data-dir={profile}"]
    with subprocess.Popen(
        command, pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        os.close(to_read)
        os.close(to_write)
        browser = Browser(heard, told)
        try:
            yield browser.open_tab()
        finally:
            browser.close()
            process.terminate()
            process.wait(_SECONDS_MAX)
            shutil.rmtree(profile, ignore_errors=True)
