"""The reference: pages rendered from the OpenAPI document and from tables of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from commerce.kernel.errors import ROWS
from commerce.resource.rehearsal import Shown
from commerce.web import page, shell
from commerce.web.schema import about, fields, kind, name_of

GUIDES = Path(__file__).with_name("guides")
_FIXED = {
    "/docs": "Overview",
    "/docs/errors": "Errors",
    "/docs/event-types": "Event types",
    "/docs/settings": "Settings",
}


class Setting(NamedTuple):
    """A setting of the server, for its page."""

    name: str
    default: str
    meaning: str


class Source(NamedTuple):
    """What the pages are made from."""

    document: dict[str, Any]
    examples: Mapping[str, Shown]
    settings: Sequence[Setting]


def guides() -> dict[str, str]:
    """The guides there are, by their file's name."""
    return {path.stem: path.read_text("utf-8") for path in sorted(GUIDES.glob("*.md"))}


def paths(groups: Sequence[str], objects: Sequence[str]) -> list[str]:
    """The path of every page there is."""
    return [
        *_FIXED,
        *(f"/docs/{group}" for group in groups),
        *(f"/docs/objects/{name}" for name in objects),
        *(f"/docs/guides/{slug}" for slug in guides()),
    ]


def pages(source: Source) -> dict[str, bytes]:
    """Every page, by its path."""
    document = source.document
    menu = _menu(document)
    made: dict[str, tuple[str, str]] = {
        "/docs": ("Overview", _overview(document)),
        "/docs/errors": ("Errors", _errors()),
        "/docs/event-types": ("Event types", _events(document)),
        "/docs/settings": ("Settings", _settings(source.settings)),
    }
    for group in _groups(document):
        made[f"/docs/{group}"] = (_title(group), _group(source, group))
    for name, schema in document["components"]["schemas"].items():
        made[f"/docs/objects/{name}"] = (name, _object(name, schema))
    for slug, text in guides().items():
        made[f"/docs/guides/{slug}"] = (_heading(text), page.markdown(text))
    return {path: page.framed(title, menu, body) for path, (title, body) in made.items()}


def _groups(document: dict[str, Any]) -> list[str]:
    return [tag["name"] for tag in document["tags"]]


def _title(group: str) -> str:
    return group.replace("_", " ").capitalize()


def _heading(text: str) -> str:
    return text.partition("\n")[0].removeprefix("#").strip()


def _menu(document: dict[str, Any]) -> list[tuple[str, list[page.Link]]]:
    return [
        ("Guides", [(f"/docs/guides/{slug}", _heading(text)) for slug, text in guides().items()]),
        ("Reference", [(f"/docs/{group}", _title(group)) for group in _groups(document)]),
        ("More", [*_FIXED.items(), ("/openapi.json", "OpenAPI document")]),
    ]


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation under its documented path: its method, its path and what is said of it."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if "x-alias-of" not in operation:
                yield method.upper(), path, operation


def _overview(document: dict[str, Any]) -> str:
    parts = [
        "<h1>Commerce Network API</h1>",
        page.markdown(document["info"]["description"]),
        f"<p>This server is at {page.code(document['servers'][0]['url'])}; its API is of version",
        f" {page.code(document['info']['version'])}.</p>",
    ]
    for group in _groups(document):
        rows = [
            (_link(group, operation, f"{method} {path}"), page.inline(operation["summary"]))
            for method, path, operation in operations(document)
            if group in operation["tags"]
        ]
        parts.append(f"<h2>{escape(_title(group))}</h2>{page.table(('operation', ''), rows)}")
    return "".join(parts)


def _link(group: str, operation: dict[str, Any], text: str) -> str:
    href = f"/docs/{group}#{operation['operationId']}"
    return f'<a href="{escape(href)}">{page.code(text)}</a>'


def _group(source: Source, group: str) -> str:
    sections = [
        _operation(source, method, path, operation)
        for method, path, operation in operations(source.document)
        if group in operation["tags"]
    ]
    return f"<h1>{escape(_title(group))}</h1>{''.join(sections)}"


def _operation(source: Source, method: str, path: str, operation: dict[str, Any]) -> str:
    document = source.document
    parts = [
        f'<section id="{escape(operation["operationId"])}">',
        f'<h2><span class="verb">{escape(method)}</span> {page.code(path)}</h2>',
        page.markdown(operation["description"]),
        _notes(operation),
        _parameters(document, operation),
    ]
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        table = fields(schema, asked=True)
        parts.append(f"<h3>Body</h3>{table}" if table else "")
    parts.append(_returns(operation))
    shown = source.examples.get(f"{method} {path.removeprefix('/v1')}")
    if shown is not None:
        root = f"{document['servers'][0]['url']}/v1"
        answer = json.dumps(shown.call.answer, indent=2, ensure_ascii=False)
        parts.append(f"<h3>Example</h3>{page.block(shell.script(shown, root), 'curl')}")
        parts.append(page.block(answer, "answer"))
    parts.append(f"<h3>Errors</h3>{_refusals(operation)}</section>")
    return "".join(parts)


def _notes(operation: dict[str, Any]) -> str:
    notes = [f"Scope: {page.code(operation['x-scope'])}."] if "x-scope" in operation else []
    notes += [f"Also answers at {page.code(alias)}." for alias in operation.get("x-aliases", [])]
    return f"<p>{' '.join(notes)}</p>" if notes else ""


def _parameters(document: dict[str, Any], operation: dict[str, Any]) -> str:
    rows = []
    for given in operation["parameters"]:
        each = given
        if "$ref" in given:
            each = document["components"]["parameters"][name_of(given["$ref"])]
        must = ' <span class="quiet">required</span>' if each.get("required") else ""
        words = about(each["schema"], each.get("description", ""))
        rows.append((page.code(each["name"]) + must, each["in"], kind(each["schema"]), words))
    table = page.table(("parameter", "in", "type", ""), rows)
    return f"<h3>Parameters</h3>{table}" if table else ""


def _returns(operation: dict[str, Any]) -> str:
    statuses = [status for status in operation["responses"] if status.startswith("2")]
    good = operation["responses"][statuses[0]]["content"]["application/json"]["schema"]
    what = kind(good)
    if several := good.get("oneOf") or good.get("anyOf"):
        what = " or ".join(kind(each) for each in several)
    elif "$ref" not in good:
        items = good["properties"]["data"]["items"]
        what = f"a list of {kind(items)}"
    return f"<h3>Returns</h3><p>{' or '.join(statuses)}: {what}</p>"


def _refusals(operation: dict[str, Any]) -> str:
    rows = [
        (status, " ".join(_error_link(code) for code in answer["x-codes"]))
        for status, answer in operation["responses"].items()
        if "x-codes" in answer
    ]
    return page.table(("status", "codes"), rows)


def _error_link(code: str) -> str:
    return f'<a href="/docs/errors#{escape(code)}">{page.code(code)}</a>'


def _object(name: str, schema: dict[str, Any]) -> str:
    words = page.markdown(schema.get("description", ""))
    asked = schema.get("additionalProperties") is False or "required" not in schema
    return f"<h1>{escape(name)}</h1>{words}{fields(schema, asked=asked)}"


def _errors() -> str:
    rows = "".join(
        f'<tr id="{row.code}"><td>{page.code(row.code)}</td>'
        f"<td>{' or '.join(str(status) for status in (row.status, *row.also))}</td>"
        f"<td>{escape(row.type)}</td><td>{page.inline(row.meaning)}</td></tr>"
        for row in ROWS
    )
    head = "<tr><th>code</th><th>status</th><th>type</th><th></th></tr>"
    return f"<h1>Errors</h1><table>{head}{rows}</table>"


def _events(document: dict[str, Any]) -> str:
    rows = []
    for type_, item in document["webhooks"].items():
        schema = item["post"]["requestBody"]["content"]["application/json"]["schema"]
        carried = schema["allOf"][1]["properties"]["data"]["properties"]["object"]
        rows.append((page.code(type_), kind(carried)))
    words = "<p>What happens is told in events; each carries the object as it was right after.</p>"
    return f"<h1>Event types</h1>{words}{page.table(('type', 'data.object'), rows)}"


def _settings(settings: Sequence[Setting]) -> str:
    rows = [(page.code(s.name), page.code(s.default), page.inline(s.meaning)) for s in settings]
    words = "<p>Environment variables of the server.</p>"
    return f"<h1>Settings</h1>{words}{page.table(('variable', 'default', ''), rows)}"
