"""Bodies whose refusal once cost more the longer they were, in more than proportion."""

import pytest

from commerce.http.body import parse_json
from commerce.kernel.errors import ApiError


def test_many_brackets_before_a_string_that_never_ends_are_refused_at_once() -> None:
    """Matching the string anew from each of its quotes took minutes for a body of this size."""
    body = b'{"a":' + b"[" * 33 + b'"' + b'\\"' * 250_000
    with pytest.raises(ApiError) as refused:
        parse_json(body)
    assert refused.value.code == "json_invalid"


def test_brackets_within_strings_do_not_nest() -> None:
    assert parse_json(b'{"a": "' + b"[" * 100 + b'"}') == {"a": "[" * 100}
