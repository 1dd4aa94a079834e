"""Examples as shell commands that run: what came back from one is a variable in the next."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from commerce.resource.rehearsal import Exchange, Shown

WALLET = '["wallet"]'
_READ = "python3 -c 'import json,sys; print(json.load(sys.stdin){})'"


def script(shown: Shown, root: str) -> str:
    """The commands of an example; they need `$KEY`, a secret key."""
    known: dict[str, str] = {}
    lines: list[str] = []
    exchanges = [*shown.setup, shown.call]
    if any(shown.wallet in _text(each) for each in exchanges):
        known[shown.wallet] = "WALLET"
        account = Exchange("GET", "/account", None, None, 200, {})
        lines.append(f"WALLET=$({_curl(account, root, known)} | {_READ.format(WALLET)})")
    for number, exchange in enumerate(exchanges):
        command = _curl(exchange, root, known)
        later = "".join(_text(each) for each in exchanges[number + 1 :])
        found = [each for each in _ids(exchange.answer) if each[0] in later]
        new = {id_: where for id_, where in found if id_ not in known}
        if len(new) > 1:
            lines.append(f"ANSWER=$({command})")
            command = 'echo "$ANSWER"'
        for id_, where in new.items():
            name = f"ID{len(known)}" if known else "ID"
            lines.append(f"{name}=$({command} | {_READ.format(where)})")
            known[id_] = name
        if not new:
            lines.append(command)
    return "\n".join(lines)


def _text(exchange: Exchange) -> str:
    return exchange.path + json.dumps(exchange.body)


def _ids(answer: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The ids in an answer, its own first, and where each stands: in it, or first in a list."""
    if isinstance(answer.get("id"), str):
        yield answer["id"], '["id"]'
    for name, value in answer.items():
        if isinstance(value, list) and value and isinstance(value[0], dict) and "id" in value[0]:
            yield value[0]["id"], f'["{name}"][0]["id"]'


def _curl(exchange: Exchange, root: str, known: dict[str, str]) -> str:
    path = exchange.path
    for value, name in known.items():
        path = path.replace(value, f"${name}")
    parts = ["curl -s", f'"{root}{path}"', '-H "Authorization: Bearer $KEY"']
    if exchange.method not in ("GET", "POST"):
        parts.insert(1, f"-X {exchange.method}")
    elif exchange.method == "POST" and exchange.body is None:
        parts.insert(1, "-X POST")
    if exchange.idempotency_key is not None:
        parts.append(f'-H "Idempotency-Key: {exchange.idempotency_key}"')
    if exchange.body is not None:
        text = json.dumps(exchange.body, ensure_ascii=False).replace("'", "'\\''")
        for value, name in known.items():
            text = text.replace(value, f"'\"${name}\"'")
        parts += ['-H "Content-Type: application/json"', f"-d '{text}'"]
    return " ".join(parts)
