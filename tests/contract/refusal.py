"""What every refusal must look like."""

from __future__ import annotations

from commerce.kernel.errors import ERRORS
from tests.stage import BASE_URL, Reply

MEMBERS = {"type", "code", "message", "param", "doc_url", "request_id"}
INSIDES = (
    "Traceback",
    "commerce.",
    "asyncpg",
    "msgspec",
    "NumberText",
    "sys.",
    "postgres",
    "codec",
)
"""Words of the server's inside, which leave with no error."""


def check(reply: Reply) -> None:
    """See that a reply is an error of the contract's form, and one of the table's."""
    assert 400 <= reply.status < 500, reply.body
    assert reply.headers["content-type"] == "application/json"
    assert reply.json.keys() == {"error"}
    error = reply.error
    assert error.keys() == MEMBERS
    row = ERRORS[error["code"]]
    assert error["type"] == row.type
    assert reply.status in (row.status, *row.also)
    assert error["doc_url"] == f"{BASE_URL}/docs/errors#{row.code}"
    assert error["request_id"] == reply.headers["request-id"]
    assert error["request_id"].startswith("req_")
    assert error["param"] is None or isinstance(error["param"], str)
    assert error["message"].endswith((".", "?"))
    assert len(error["message"]) < 1000
    assert not any(word in error["message"] for word in INSIDES), error["message"]
    assert reply.headers["stateset-version"] == "2026-11-01"
    assert ("www-authenticate" in reply.headers) == (reply.status == 401)
    assert ("allow" in reply.headers) == (reply.status == 405)


def is_(reply: Reply, status: int, code: str, param: str | None = None) -> None:
    """See that a reply is this refusal."""
    check(reply)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (status, code, param)
