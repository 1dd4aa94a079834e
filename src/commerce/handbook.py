"""The handbook: the OpenAPI document and the pages of the reference, made once when first read."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from commerce.http.openapi.document import document, group
from commerce.http.openapi.schema import with_parts
from commerce.resource.registry import Registry
from commerce.resource.rehearsal import Ask, Shown
from commerce.settings import Settings
from commerce.web import reference
from commerce.web.reference import Setting, Source

_SECRET = re.compile(r"\b([spr]k_(?:test|live)_)[0-9A-Za-z]{20,}")
_KEYED = re.compile(r"\b(pay_[0-9a-z_]+(?:_secret_|-)[0-9a-z]{26}-?)[0-9a-f]{32}\b")
"""The client secret of a payment, and the address of its receipt."""
_END = re.compile(r"\b([spr]k_(?:test|live)_…)[0-9A-Za-z]{4}\b")
ROOT = "/v1"


class Handbook:
    """What the product says of itself to those who call it."""

    def __init__(
        self,
        registry: Registry,
        base_url: str,
        settings: Settings,
        rehearse: Callable[[], Awaitable[Mapping[str, Shown]]],
    ) -> None:
        """Take how to run every operation's example; it is run when it is first needed."""
        self._registry = registry
        self._base_url = base_url
        self._settings = settings
        self._rehearse = rehearse
        self._making = asyncio.Lock()
        self._source: Source | None = None
        self._document: bytes | None = None
        self._pages: dict[str, bytes] | None = None

    def paths(self) -> list[str]:
        """Where the pages are."""
        found = self._registry
        groups = sorted({group(endpoint.path) for endpoint, _ in found.endpoints()})
        operations = found.operations
        also = [each.also for each in operations if each.also is not None]
        shown = [*found.nouns, *(each.returns for each in operations), *also]
        structs = with_parts([*shown, *(each.params for each in operations)])
        return reference.paths(groups, sorted({"error", *(cls.__name__ for cls in structs)}))

    async def document(self) -> bytes:
        """The OpenAPI document, with examples."""
        source = await self._made()
        if self._document is None:
            self._document = msgspec.json.encode(source.document)
        return self._document

    async def pages(self) -> dict[str, bytes]:
        """Every page of the reference, by its path."""
        source = await self._made()
        if self._pages is None:
            self._pages = await asyncio.to_thread(reference.pages, source)
        return self._pages

    async def _made(self) -> Source:
        async with self._making:
            if self._source is None:
                examples = await self._rehearse()
                made = document(self._registry, self._base_url, examples)
                settings = [
                    Setting(row.name, row.default, row.doc) for row in self._settings.describe()
                ]
                self._source = Source(made, examples, settings)
            return self._source


async def write_pages(handbook: Handbook, folder: Path) -> int:
    """Write the pages and the document as files, each at its path; gives how many there are.

    Links among them are as on the server: put the folder at the root of a site.
    """
    pages = {f"{path}/index.html": body for path, body in (await handbook.pages()).items()}
    files = {**pages, "/openapi.json": await handbook.document()}
    for path, body in files.items():
        file = folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
    return len(files)


def client(http: Callable[..., Awaitable[None]], key: str) -> Ask:
    """Calls an ASGI application in this process; keys in answers are shown without their secret."""

    async def ask(
        method: str, path: str, body: dict[str, Any] | None, idempotency_key: str | None
    ) -> tuple[int, Any]:
        target, _, query = (ROOT + path).partition("?")
        sent: list[dict[str, Any]] = []
        headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {key}".encode())]
        if body is not None:
            headers.append((b"content-type", b"application/json"))
        if idempotency_key is not None:
            headers.append((b"idempotency-key", idempotency_key.encode()))
        scope = {
            "type": "http",
            "method": method,
            "raw_path": target.encode(),
            "query_string": query.encode(),
            "headers": headers,
            "scheme": "http",
            "client": ("127.0.0.1", 0),
            "body": b"" if body is None else msgspec.json.encode(body),
        }

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await http(scope, None, send)
        text = _SECRET.sub(r"\1…", _END.sub(r"\1AbCd", sent[1]["body"].decode()))
        text = _KEYED.sub(r"\1…", text)
        return int(sent[0]["status"]), json.loads(text)

    return ask
