"""The error table and the exception that carries its rows."""

import re

import pytest

from commerce.kernel.errors import ERRORS, ROWS, ApiError, ErrorRow

# What each status answers as, from the contract's own table.
TYPES = {
    400: {"invalid_request_error"},
    401: {"authentication_error"},
    402: {"card_error", "ledger_error"},
    403: {"permission_error", "compliance_error"},
    404: {"invalid_request_error"},
    405: {"invalid_request_error"},
    409: {"idempotency_error", "invalid_request_error"},
    413: {"invalid_request_error"},
    415: {"invalid_request_error"},
    422: {"idempotency_error"},
    429: {"rate_limit_error"},
    500: {"api_error"},
    503: {"api_error"},
}


def test_no_code_has_two_rows() -> None:
    assert len(ERRORS) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.code)
def test_every_row_is_of_a_type_its_status_answers(row: ErrorRow) -> None:
    assert row.type in TYPES[row.status]
    assert re.fullmatch(r"[a-z_]+", row.code)
    assert row.meaning.endswith(".")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.code)
def test_statuses_the_contract_never_stores_are_not_remembered(row: ErrorRow) -> None:
    if row.status in {401, 404, 405, 413, 415, 422, 429, 500, 503}:
        assert not row.remembered
    if row.status == 402 or row.type == "compliance_error":
        assert row.remembered


@pytest.mark.parametrize("code", ["state_invalid", "out_of_stock", "duplicate_reference"])
def test_refusals_decided_against_state_are_remembered(code: str) -> None:
    assert ERRORS[code].remembered


@pytest.mark.parametrize("code", ["parameter_missing", "amount_invalid", "address_not_owned"])
def test_validation_and_permission_are_not_remembered(code: str) -> None:
    assert not ERRORS[code].remembered


def test_the_body_is_the_contracts() -> None:
    error = ApiError("parameter_missing", "The 'amount' parameter is required.", param="amount")
    assert error.body("req_1", "https://docs.example") == {
        "error": {
            "type": "invalid_request_error",
            "code": "parameter_missing",
            "message": "The 'amount' parameter is required.",
            "param": "amount",
            "doc_url": "https://docs.example/docs/errors#parameter_missing",
            "request_id": "req_1",
        }
    }


def test_an_absent_param_is_null_and_details_are_further_members() -> None:
    error = ApiError("card_declined", decline_code="lost_card", payment="pay_1")
    body = error.body("req_1", "")["error"]
    assert isinstance(body, dict)
    assert body["param"] is None
    assert body["decline_code"] == "lost_card"
    assert body["payment"] == "pay_1"
    assert body["message"] == ERRORS["card_declined"].meaning


def test_headers_are_kept_and_empty_by_default() -> None:
    assert ApiError("unavailable", headers={"Retry-After": "1"}).headers == {"Retry-After": "1"}
    assert ApiError("unavailable").headers == {}


def test_an_unknown_code_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        ApiError("no_such_code")


@pytest.mark.parametrize("status", [409, 412, None])
def test_a_version_conflict_answers_409_or_412(status: int | None) -> None:
    assert ApiError("version_conflict", status=status).status == (status or 409)


def test_a_status_the_row_lacks_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="never answers 412"):
        ApiError("resource_missing", status=412)


@pytest.mark.parametrize("name", ["type", "doc_url", "request_id"])
def test_a_detail_may_not_replace_a_fixed_member(name: str) -> None:
    details: dict[str, object] = {name: "x"}
    with pytest.raises(ValueError, match="may not replace"):
        ApiError("card_declined", None, param=None, headers=None, status=None, **details)


def test_the_text_of_the_exception_names_code_and_message() -> None:
    assert str(ApiError("state_invalid", "No.")) == "state_invalid: No."
