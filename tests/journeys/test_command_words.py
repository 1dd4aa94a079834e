"""What the command line says where no server is needed: help, settings, and what is misspelt."""

from __future__ import annotations

from typing import get_args

import pytest

from commerce.areas.identity.account import Capability, Plan, Verification
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
