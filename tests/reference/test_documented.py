"""Documentation, both ways: what there is is described, and what is described is there."""

from __future__ import annotations

import asyncio
import inspect
import re
from pathlib import PurePosixPath
from typing import Any

import msgspec
import pytest
import typer

from commerce.__main__ import cli
from commerce.http.openapi.schema import with_parts
from commerce.installation import handbook
from commerce.kernel.docstring import field_docs
from commerce.kernel.errors import ROWS
from commerce.resource.event_type import catalogue, event_types
from commerce.settings import Settings
from commerce.web.reference import guides
from tests.contract.surface import ENDPOINTS, REGISTRY
from tests.tidy import tree


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = msgspec.json.decode(asyncio.run(handbook(Settings()).document()))
    return made


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    made = asyncio.run(handbook(Settings()).pages())
    return {path: body.decode() for path, body in made.items()}


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for item in document["paths"].values() for each in item.values()]


def test_every_operation_is_described_and_has_its_place_on_a_page(
    document: dict[str, Any], pages: dict[str, str]
) -> None:
    for operation in operations(document):
        assert operation["summary"].endswith("."), operation["operationId"]
        assert len(operation["description"]) > 10
        if "x-alias-of" not in operation:
            (group,) = operation["tags"]
            assert f'id="{operation["operationId"]}"' in pages[f"/docs/{group}"]
    named = {f"{method} {path}" for path, item in document["paths"].items() for method in item}
    assert named == {f"{e.method.lower()} /v1{path}" for e, path in REGISTRY.endpoints()}


def test_every_parameter_is_described(document: dict[str, Any]) -> None:
    silent = [
        (operation["operationId"], each["name"])
        for operation in operations(document)
        for each in operation["parameters"]
        if "$ref" not in each and not each.get("description")
    ]
    shared = document["components"]["parameters"]
    assert (silent, [name for name in shared if not shared[name]["description"]]) == ([], [])


def test_every_field_that_is_sent_or_answered_is_described(document: dict[str, Any]) -> None:
    silent = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, each in schema.get("properties", {}).items()
        if name != "error" and not each.get("description")
    ]
    assert silent == []


def test_no_docstring_stands_under_a_field_that_is_not_there() -> None:
    used = [*REGISTRY.nouns]
    used += [part for each in REGISTRY.operations for part in (each.params, each.returns)]
    for cls in with_parts(used):
        described = {name for name in field_docs(cls) if not name.startswith("__")}
        assert described <= set(cls.__struct_fields__), cls


def test_every_object_has_a_page_that_lists_its_fields(
    document: dict[str, Any], pages: dict[str, str]
) -> None:
    for name, schema in document["components"]["schemas"].items():
        for field in schema.get("properties", {}):
            assert f"<code>{field}</code>" in pages[f"/docs/objects/{name}"]


def test_every_code_is_on_the_page_of_errors_and_every_code_said_is_one(
    document: dict[str, Any], pages: dict[str, str]
) -> None:
    for row in ROWS:
        assert f'id="{row.code}"' in pages["/docs/errors"]
    said = {
        (code, int(status))
        for operation in operations(document)
        for status, answer in operation["responses"].items()
        for code in answer.get("x-codes", [])
    }
    known = {(row.code, status) for row in ROWS for status in (row.status, *row.also)}
    assert said <= known


def test_every_code_that_the_product_raises_somewhere_can_be_answered_by_some_operation(
    document: dict[str, Any],
) -> None:
    said = {
        code
        for operation in operations(document)
        for answer in operation["responses"].values()
        for code in answer.get("x-codes", [])
    }
    sources = [path for path in tree.modules() if path.parts[:3] == ("src", "commerce", "areas")]
    text = "\n".join(tree.text(path) for path in sources)
    raised = {row.code for row in ROWS if f'"{row.code}"' in text}
    assert raised - said == set()


def test_every_setting_is_on_the_page_of_settings(pages: dict[str, str]) -> None:
    for row in Settings().describe():
        assert f"<code>{row.name}</code>" in pages["/docs/settings"]
        assert row.doc
    named = set(re.findall(r"COMMERCE_[A-Z_]+[A-Z]", " ".join([*guides().values(), readme()])))
    assert named <= {row.name for row in Settings().describe()}


def readme() -> str:
    return tree.text(PurePosixPath("README.md"))


def commands() -> dict[str, Any]:
    """Every command, by what is typed."""
    found: dict[str, Any] = {}
    waiting: list[tuple[str, Any]] = [("commerce", typer.main.get_command(cli))]
    while waiting:
        name, command = waiting.pop()
        inner = getattr(command, "commands", None)
        if inner is None:
            found[name] = command
        else:
            waiting += [(f"{name} {each}", inner[each]) for each in inner]
    return found


def test_every_command_and_option_is_explained_and_no_other_is_named() -> None:
    page = guides()["command-line"]
    for name, command in commands().items():
        assert f"`{name}`" in page, name
        assert inspect.cleandoc(command.help or ""), name
        silent = [
            each.name
            for each in command.params
            if each.param_type_name == "option" and not getattr(each, "help", None)
        ]
        assert silent == [], name
    named = set(re.findall(r"^\| `(commerce [a-z ]+)`", page, re.MULTILINE))
    assert named == set(commands())


def test_every_event_type_is_listed_with_what_it_carries(
    document: dict[str, Any], pages: dict[str, str]
) -> None:
    listed = catalogue(REGISTRY.nouns)
    assert document["webhooks"].keys() == listed.keys()
    for type_, noun in listed.items():
        assert f"<code>{type_}</code>" in pages["/docs/event-types"]
        content = document["webhooks"][type_]["post"]["requestBody"]["content"]
        carried = content["application/json"]["schema"]["allOf"][1]["properties"]["data"]
        assert carried["properties"]["object"]["$ref"].endswith(f"/{noun.__name__}")


def test_every_event_type_that_the_code_names_is_listed() -> None:
    listed = catalogue(REGISTRY.nouns)
    sources = [path for path in tree.modules() if path.parts[:3] == ("src", "commerce", "areas")]
    calls = re.compile(r'\bevent="([a-z_]+\.[a-z_.]+)"')
    prefixes = {noun.__noun__.event for noun in REGISTRY.nouns}
    named = {name for path in sources for name in calls.findall(tree.text(path))}
    assert named
    assert named - prefixes - listed.keys() == set()


def test_a_noun_without_a_list_of_events_is_created_and_updated() -> None:
    account = next(noun for noun in REGISTRY.nouns if noun.__noun__.name == "account")
    assert event_types(account) == ("account.created", "account.updated")


def test_every_endpoint_has_a_place(document: dict[str, Any]) -> None:
    assert len([o for o in operations(document) if "x-alias-of" not in o]) == len(ENDPOINTS)
