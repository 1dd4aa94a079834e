"""Conditional requests: ETags, `If-None-Match` and `If-Match` (RFC 9110, section 13).

The tag of an object is `"<state>-<digest>"`: the state of its version, by which `If-Match` is
decided on the locked row, and the digest of the very bytes answered, by which `If-None-Match`
is. So an expanded object has another tag than the plain one, and both name its state. What is no
single object, a list or a balance, has the digest alone, and no write is conditional on it.
What shows its `version` may be known by that as well: `If-Match: 3`, with quotes or without.
Where an answer says when it was read, that is left out of the digest, and the tag is a weak one.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from commerce.engine.condition import Condition
from commerce.http.request import Response
from commerce.kernel.errors import ApiError

CACHE = ("Cache-Control", "private, no-cache")
"""Answers are a caller's own, and are asked about again before they are used again."""
_DIGEST_BYTES = 12
_VERSION = re.compile(rb"[1-9][0-9]{0,14}")
_TAG = re.compile(rb'[ \t,]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?=,|$)')


class _Tag(NamedTuple):
    text: str
    weak: bool


def answered(
    body: bytes, state: str | None, if_none_match: bytes | None, moment: bytes | None = None
) -> Response:
    """The answer of a read: its body and tag, or 304 where the client has that already.

    `moment` is the piece of the body that says when it was read, where one does.
    """
    same = body if moment is None else body.replace(moment, b"", 1)
    digest = hashlib.blake2b(same, digest_size=_DIGEST_BYTES).hexdigest()
    text = digest if state is None else f"{state}-{digest}"
    headers = (("ETag", f'"{text}"' if moment is None else f'W/"{text}"'), CACHE)
    if if_none_match is not None and _has(if_none_match, text):
        return Response(304, b"", headers)
    return Response(200, body, headers)


def _has(header: bytes, text: str) -> bool:
    """Whether a header names a tag: weakly compared, as reads are. What is no tag names none."""
    if header.strip() == b"*":
        return True
    return any(tag.text == text for tag in _tags(header) or ())


def condition(header: bytes | None, path: dict[str, str]) -> Condition | None:
    """What `If-Match` says of the object that a write's path names. Raises `parameter_invalid`.

    The idempotency key's fingerprint is without it: a retry gets the first answer, a 412 too.
    """
    if header is None:
        return None
    id_ = next(iter(path.values()), None)
    if id_ is None:
        raise _invalid("'If-Match' has no object here that it could be about.")
    if header.strip() == b"*":
        return Condition(id_, None)
    if _VERSION.fullmatch(bare := header.strip()):
        return Condition(id_, frozenset({bare.decode()}))
    tags = _tags(header)
    if tags is None:
        raise _invalid("'If-Match' must be a list of tags, each as an ETag gave it.")
    strong = [tag.text for tag in tags if not tag.weak]
    states = [state for state, dash, _ in (text.partition("-") for text in strong) if dash]
    versions = [text for text in strong if _VERSION.fullmatch(text.encode())]
    return Condition(id_, frozenset((*states, *versions)))


def _tags(header: bytes) -> list[_Tag] | None:
    """The tags of a header; None where it is no list of tags."""
    header = header.rstrip(b" \t,")
    tags: list[_Tag] = []
    at = 0
    while at < len(header):
        found = _TAG.match(header, at)
        if found is None:
            return None
        tags.append(_Tag(found[2].decode("latin-1"), found[1] is not None))
        at = found.end()
    return tags or None


def _invalid(message: str) -> ApiError:
    return ApiError("parameter_invalid", message, param="If-Match")
