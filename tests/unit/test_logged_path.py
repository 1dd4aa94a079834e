"""Paths as the log has them: no number that somebody may have sent by mistake."""

from __future__ import annotations

import pytest

from commerce.http.asgi import _shown


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/v1/payments/4242424242424242", "/v1/payments/*"),
        ("/v1/payments/4242-4242-4242-4242/capture", "/v1/payments/*/capture"),
        ("/v1/payments/4242%204242%204242%204242", "/v1/payments/*"),
        ("/v1/payments/4242+4242 4242_4242x", "/v1/payments/*x"),
        ("/v1/payments/12345678901", "/v1/payments/12345678901"),
        ("/v1/payments/pay_test_456", "/v1/payments/pay_test_456"),
        ("/v1/tokens/tok_test_01m8801200g42hcsw9tgq0jp97", None),
        ("/v1/" + "x" * 300, "/v1/" + "x" * 196),
    ],
)
def test_no_run_of_twelve_digits_is_logged(path: str, logged: str | None) -> None:
    assert _shown(path) == (logged or path)


def test_a_number_that_the_end_of_a_long_path_cuts_off_is_masked_all_the_same() -> None:
    path = "/v1/" + "x" * 190 + "4242424242424242"
    assert "4" not in _shown(path)
