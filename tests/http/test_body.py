"""Bodies whose refusal once cost more the longer they were, in more than proportion."""

import json

import pytest

from commerce.http import body as bodies
from commerce.http.body import VALUES_MAX, parse_json
from commerce.kernel.errors import ApiError


def test_many_brackets_before_a_string_that_never_ends_are_refused_at_once() -> None:
    """Matching the string anew from each of its quotes took minutes for a body of this size."""
    body = b'{"a":' + b"[" * 33 + b'"' + b'\\"' * 250_000
    with pytest.raises(ApiError) as refused:
        parse_json(body)
    assert refused.value.code == "json_invalid"


@pytest.mark.parametrize("text", ['["\\u0000"]', '[[], {"b": ["c", "\\u0000"]}]', '{"\\u0000": 1}'])
def test_what_no_column_holds_is_refused_wherever_it_stands(text: str) -> None:
    assert parse_json(b'{"a": ["\\u0041", 1, null]}') == {"a": ["A", 1, None]}
    with pytest.raises(ApiError) as refused:
        parse_json(f'{{"a": {text}}}'.encode())
    assert refused.value.message == "The body cannot be read: it holds a NUL character."


def test_brackets_within_strings_do_not_nest() -> None:
    assert parse_json(b'{"a": "' + b"[" * 100 + b'"}') == {"a": "[" * 100}


EMPTY = b'{"a":[' + b"{}," * VALUES_MAX + b"1]}"
VERY_MANY = {
    "objects": EMPTY,
    "numbers": b'{"a":[' + b"1," * VALUES_MAX + b"1]}",
    "lists": b'{"a":' + b"[]" * VALUES_MAX + b"}",
    "strings": b'{"a":[' + b'"",' * VALUES_MAX + b'""]}',
    "strings in very great number": b'{"a":[' + b'"",' * 330_000 + b'""]}',
    "strings that end in a backslash": b'{"a":[' + b'"\\\\",' * 150_000 + b'""]}',
    "members": b'{"a":{' + b",".join(b'"%x":0' % n for n in range(VALUES_MAX + 1)) + b"}}",
}


@pytest.mark.parametrize("body", VERY_MANY.values(), ids=VERY_MANY)
def test_very_many_values_are_refused_before_they_are_built(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_DECODER", None)
    with pytest.raises(ApiError) as refused:
        parse_json(body)
    assert refused.value.code == "json_invalid"
    assert f"more than {VALUES_MAX} values" in refused.value.message


@pytest.mark.parametrize("text", ["," * 100_000, "[{" * 100_000, '","' * 15_000, "\\" * 99_999])
def test_a_long_string_is_one_value_whatever_stands_in_it(text: str) -> None:
    body = json.dumps({"a": text}).encode()
    assert parse_json(body) == {"a": text}


def test_as_many_values_as_are_allowed_are_read() -> None:
    body = b'{"a":[' + b"1," * (VALUES_MAX - 3) + b"1]}"
    assert len(parse_json(body)["a"]) == VALUES_MAX - 2
