"""What the command line says where no server is needed: help, settings, and what is misspelt."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from commerce import __version__
from commerce.areas.identity.account import Capability, Plan, Verification
from commerce.command import terminal
from commerce.http.idempotency import KeyState
from commerce.installation import public_url
from commerce.kernel.version import API_VERSION
from commerce.resource.access import SCOPES, KeyType
from commerce.settings import Settings
from tests.journeys.conftest import Call
from tests.process import refused


@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        ("accounts create", (*get_args(Plan), *get_args(Verification), *get_args(Capability))),
        ("accounts update", (*get_args(Plan), *get_args(Verification), *get_args(Capability))),
        ("keys create", (*get_args(KeyType), *SCOPES)),
    ],
)
def test_the_help_of_a_command_says_what_there_is_to_choose_from(
    call: Call, command: str, allowed: tuple[str, ...]
) -> None:
    ran = call(*command.split(), "--help", COLUMNS="1000")
    assert ran.status == 0
    assert [each for each in allowed if each not in ran.out] == []
    assert "…" not in ran.out


def test_the_help_of_serve_says_the_defaults_and_their_variables(call: Call) -> None:
    ran = call("serve", "--help", COLUMNS="1000")
    for words in (
        "(COMMERCE_HOST, by default 127.0.0.1)",
        "(COMMERCE_PORT, by default 8000)",
        "(COMMERCE_DATA_DIR, by default data)",
        "One of: testnet, production, both. (COMMERCE_NETWORK, by default testnet)",
    ):
        assert words in ran.out


def test_the_version_is_printed(call: Call) -> None:
    ran = call("--version")
    assert (ran.status, ran.out) == (0, f"commerce {__version__}, API {API_VERSION}\n")


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"port": 9000, "host": "0.0.0.0"}, "http://127.0.0.1:9000"),  # noqa: S104
        ({"host": "::"}, "http://[::1]:8000"),
        ({"host": "::1"}, "http://[::1]:8000"),
        ({"host": "10.0.0.7", "tls_cert": "c", "tls_key": "k"}, "https://10.0.0.7:8000"),
        ({"host": "::", "base_url": "https://api.example.com"}, "https://api.example.com"),
    ],
)
def test_what_is_published_is_a_url_that_can_be_called(given: dict[str, Any], url: str) -> None:
    settings = Settings.load({}, **given)
    assert public_url(settings, settings.port) == url


def test_the_document_names_the_url_that_is_set(call: Call) -> None:
    for settings, url in (
        ({}, "http://127.0.0.1:8000"),
        ({"COMMERCE_HOST": "0.0.0.0"}, "http://127.0.0.1:8000"),  # noqa: S104
        ({"COMMERCE_BASE_URL": "https://api.example.com"}, "https://api.example.com"),
    ):
        ran = call("openapi", **settings)
        assert json.loads(ran.out)["servers"] == [{"url": url}]


def test_settings_are_printed_and_secrets_are_not(call: Call) -> None:
    given = {
        "COMMERCE_PORT": "8123",
        "COMMERCE_MASTER_KEY": "5e" * 32,
        "COMMERCE_DATABASE_URL": "postgresql://me:hunter2@db/commerce",
    }
    table, listed = call("settings", **given), call("settings", "--json", **given)
    assert (table.status, listed.status) == (0, 0)
    values = {row["name"]: row["value"] for row in listed.json}
    assert values["COMMERCE_PORT"] == "8123"
    assert values["COMMERCE_MASTER_KEY"] == values["COMMERCE_DATABASE_URL"] == "(set)"
    assert set(values) == {f"COMMERCE_{name.upper()}" for name in Settings.__struct_fields__}
    assert all(row["doc"] for row in listed.json)
    for name in values:
        assert name in table.out
    for secret in ("5e5e", "hunter2"):
        assert secret not in table.out + listed.out


def test_an_unknown_variable_is_refused_and_the_nearest_known_one_named(call: Call) -> None:
    for command in (["settings"], ["serve"], ["verify"], ["accounts", "list"]):
        message = refused(call(*command, COMMERCE_PROT="8123"))
        assert message == (
            "the variable COMMERCE_PROT is unknown; the nearest known one is COMMERCE_PORT"
        )


def test_what_a_client_wrote_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    words = "Ada \x1b[2J\x07\r\n\x9b31m\u202eé…"
    terminal.show(KeyState(key=words, status="completed"), as_json=False)
    terminal.print_table(("name",), [[words]])
    out = capsys.readouterr().out
    assert out.count(r"Ada \x1b[2J\x07\r\n\x9b31m\u202eé…") == 2
    assert all(each.isprintable() for each in out.replace("\n", ""))
