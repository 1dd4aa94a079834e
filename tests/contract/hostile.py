"""Bad requests, made by hand: each has to be refused, and to leave everything as it was."""

from __future__ import annotations

from typing import NamedTuple

from tests.contract.surface import Rehearsal
from tests.stage import Headers

MEBIBYTE = 1 << 20
TRANSFER = "/v1/stablecoin/transfer"
SQL = "x' OR '1'='1'; DROP TABLE event; --"
HTML = '"><script>alert(1)</script>'
JSON_TYPE = (b"content-type", b"application/json")


class Hostile(NamedTuple):
    """A request as it goes over the wire, with a good key unless it brings its own."""

    name: str
    status: int
    method: str = "POST"
    path: bytes = TRANSFER.encode()
    query: bytes = b""
    headers: Headers = []
    body: tuple[bytes, ...] = ()
    authorised: bool = True


def _json(name: str, text: str | bytes, status: int = 400, path: str = TRANSFER) -> Hostile:
    body = text if isinstance(text, bytes) else text.encode()
    return Hostile(f"body: {name}", status, path=path.encode(), headers=[JSON_TYPE], body=(body,))


def bodies(play: Rehearsal) -> list[Hostile]:
    """What is not JSON, or JSON that two readers could read differently."""
    to = f'"to": "{play.other_wallet}"'
    good = f'{{{to}, "amount": "1.00"}}'
    deep = "[" * 33 + "]" * 33
    texts: dict[str, str | bytes] = {
        "nothing": "",
        "a space": " ",
        "null": "null",
        "an array": f"[{good}]",
        "a string": '"amount"',
        "a number": "5",
        "true": "true",
        "cut off": good[:-1],
        "trailing garbage": good + "x",
        "trailing brace": good + "}",
        "two objects": good + good,
        "two objects on two lines": good + "\n" + good,
        "a NUL after it": good.encode() + b"\x00",
        "a comment": good[:-1] + "/* */}",
        "a trailing comma": good[:-1] + ",}",
        "single quotes": good.replace('"', "'"),
        "bare names": good.replace('"amount"', "amount"),
        "a duplicate member": good[:-1] + ', "amount": "1.00"}',
        "a duplicate by escape": good[:-1] + ', "\\u0061mount": "1.00"}',
        "a nested duplicate": good[:-1] + ', "metadata": {"a": "1", "a": "2"}}',
        "33 deep": good[:-1] + f', "metadata": {deep}}}',
        "100000 arrays deep": "[" * 100_000,
        "100000 objects deep": '{"a":' * 100_000,
        "100000 deep and closed": good[:-1] + ', "memo": ' + "[" * 100_000 + "]" * 100_000 + "}",
        "NaN": f'{{{to}, "amount": NaN}}',
        "Infinity": f'{{{to}, "amount": -Infinity}}',
        "a leading zero": f'{{{to}, "amount": 01.00}}',
        "a plus": f'{{{to}, "amount": +1}}',
        "hexadecimal": f'{{{to}, "amount": 0x10}}',
        "a naked point": f'{{{to}, "amount": .5}}',
        "a raw newline in a string": good[:-1] + ', "memo": "a\nb"}',
        "a raw NUL in a string": good[:-1] + ', "memo": "a\x00b"}',
        "an escaped NUL": good[:-1] + ', "memo": "a\\u0000b"}',
        "an escaped NUL in a name": good[:-1] + ', "me\\u0000mo": "a"}',
        "an escaped NUL deep within": good[:-1] + ', "metadata": {"a": "\\u0000"}}',
        "half a surrogate": good[:-1] + ', "memo": "\\ud83d"}',
        "surrogates the wrong way round": good[:-1] + ', "memo": "\\ude00\\ud83d"}',
        "a bad escape": good[:-1] + ', "memo": "\\x41"}',
        "a surrogate in UTF-8": good[:-1].encode() + b', "memo": "\xed\xa0\x80"}',
        "an overlong slash": good[:-1].encode() + b', "memo": "\xc0\xaf"}',
        "an overlong NUL": good[:-1].encode() + b', "memo": "\xc0\x80"}',
        "beyond Unicode": good[:-1].encode() + b', "memo": "\xf4\x90\x80\x80"}',
        "half a character": good[:-1].encode() + b', "memo": "\xe2\x82"}',
        "latin-1": good[:-1].encode() + b', "memo": "\xe9"}',
        "a BOM": b"\xef\xbb\xbf" + good.encode(),
        "UTF-16": good.encode("utf-16"),
        "UTF-32": good.encode("utf-32"),
        "a form": b"to=x&amount=1.00",
        "XML": "<transfer><amount>1</amount></transfer>",
        "compressed": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
        "a vertical tab between": good.replace(" ", "\x0b"),
        "a no-break space between": good.replace(" ", "\xa0"),
    }
    return [_json(name, text) for name, text in texts.items()]


def members(play: Rehearsal) -> list[Hostile]:
    """Good JSON whose members are wrong in type, size or meaning."""
    many = ", ".join(f'"k{number}": "v"' for number in range(51))
    wrong = {
        "a huge amount": '"amount": 1' + "0" * 4000,
        "a huge amount as text": '"amount": "1' + "0" * 4000 + '"',
        "a huge exponent": '"amount": 1e999999999',
        "an amount as an array": '"amount": ["1.00"]',
        "an amount of Arabic digits": '"amount": "١٢"',
        "an amount of fullwidth digits": '"amount": "\uff11.\uff10\uff10"',
        "an amount with a minus sign": '"amount": "−1.00"',
        "an amount with a tab": '"amount": "1.00\\t"',
        "an amount of SQL": f'"amount": "1{SQL}"',
        "a memo of 257 characters": '"memo": "' + "é" * 257 + '"',
        "a memo of 900 kB": '"memo": "' + "x" * 900_000 + '"',
        "a memo as a number": '"memo": 1.5',
        "a memo as an object": '"memo": {"$ne": null}',
        "a priority in capitals": '"priority": "HIGH"',
        "a priority that is null": '"priority": null',
        "a currency of HTML": '"currency": "<b>ssusd</b>"',
        "a currency in capitals": '"currency": "SSUSD"',
        "51 pairs of metadata": f'"metadata": {{{many}}}',
        "metadata as an array": '"metadata": [["a", "b"]]',
        "metadata with a number": '"metadata": {"a": 1}',
        "metadata within metadata": '"metadata": {"a": {"b": "c"}}',
        "a metadata key of 41": '"metadata": {"' + "k" * 41 + '": "v"}',
        "an empty metadata key": '"metadata": {"": "v"}',
        "a metadata value of 501": '"metadata": {"k": "' + "v" * 501 + '"}',
        "__proto__": '"__proto__": {"admin": true}',
        "a member called livemode": '"livemode": true',
        "a member called account": '"account": "acct_1"',
        "a member of SQL": f'"{SQL}": 1',
        "a member of HTML": '"<img src=x onerror=alert(1)>": 1',
        "a member name of 100 kB": f'"{"n" * 100_000}": 1',
        "a member name in capitals": '"Memo": "x"',
        "a member with an emoji": '"💸": 1',
        "100000 members": ", ".join(f'"m{number}": 1' for number in range(80_000)),
    }
    recipients = {
        "nobody": '""',
        "null": "null",
        "a number": "7",
        "an array": f'["{play.other_wallet}"]',
        "SQL": f'"{SQL}"',
        "HTML": f'"{HTML.replace(chr(34), "")}"',
        "100 kB": f'"{"s" * 100_000}"',
        "one wrong character": f'"{play.other_wallet[:-1]}b"',
        "mixed case": f'"{play.other_wallet[:-1]}{play.other_wallet[-1].upper()}Q"',
        "a homoglyph": f'"\u0455tateset{play.other_wallet[8:]}"',
        "another prefix": '"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"',
        "a zero-width space": f'"{play.other_wallet}\u200b"',
        "a right-to-left override": f'"\u202e{play.other_wallet}"',
        "a line break": f'"{play.other_wallet}\\n"',
    }
    good = f'"to": "{play.other_wallet}"'
    found = [
        _json(name, f"{{{good}, {text}}}" if '"amount"' in text else _with_amount(good, text))
        for name, text in wrong.items()
    ]
    return found + [
        _json(f"to {name}", f'{{"to": {text}, "amount": "1.00"}}')
        for name, text in recipients.items()
    ]


def _with_amount(good: str, text: str) -> str:
    return f'{{{good}, "amount": "1.00", {text}}}'


def sizes() -> list[Hostile]:
    """Bodies over 1 MiB, said so beforehand or not, and types that are not taken."""
    piece = b" " * 65_536
    typed: Headers = [JSON_TYPE]
    too_long: Headers = [JSON_TYPE, (b"content-length", str(MEBIBYTE + 1).encode())]
    absurd: Headers = [JSON_TYPE, (b"content-length", b"9" * 400)]
    found = [
        Hostile("size: announced", 413, headers=too_long, body=(b"{}",)),
        Hostile("size: announced absurdly", 413, headers=absurd, body=(b"{}",)),
        Hostile("size: in one piece", 413, headers=typed, body=(b" " * (MEBIBYTE + 1),)),
        Hostile("size: in pieces", 413, headers=typed, body=(piece,) * 17),
        Hostile("size: without a type", 413, body=(piece,) * 17),
    ]
    for given in (
        *(b"", b"text/plain", b"text/json", b"application/jsonp", b"application/json-patch+json"),
        *(b"application/xml", b"multipart/form-data; boundary=x", b"application/octet-stream"),
        *(b"*/*", b"json", b"\xff\xfe", b"application/ json", b"x" * 8000),
    ):
        name = f"type: {given[:30]!r}"
        found.append(Hostile(name, 415, headers=[(b"content-type", given)], body=(b"{}",)))
    for charset in (b"latin-1", b'"iso-8859-1"', b"utf-16", b"x; charset=utf-8", b""):
        kind = b"application/json; charset=" + charset
        found.append(
            Hostile(f"type: {kind!r}", 415, headers=[(b"content-type", kind)], body=(b"{}",))
        )
    for coding in (b"gzip", b"br", b"identity, gzip", b"", b"x" * 8000):
        coded = [JSON_TYPE, (b"content-encoding", coding)]
        found.append(Hostile(f"coding: {coding[:30]!r}", 415, headers=coded, body=(b"{}",)))
    return found


def headers(play: Rehearsal) -> list[Hostile]:
    """Headers that are too long, twice there, or not what they should be."""
    good = f"Bearer {play.party.key}".encode()
    found = [
        Hostile(f"key: {name}", 401, headers=[(b"authorization", given)], authorised=False)
        for name, given in {
            "empty": b"",
            "no scheme": play.party.key.encode(),
            "long": b"Bearer " + b"s" * 60_000,
            "non-ASCII": b"Bearer \xff\xfe\xe9",
            "UTF-8": "Bearer ключ".encode(),
            "a NUL": good + b"\x00",
            "a NUL within": good[:20] + b"\x00" + good[20:],
            "two in one": good + b", " + good,
            "SQL": f"Bearer {SQL}".encode(),
            "percent-encoded": good.replace(b"_", b"%5F"),
            "basic": b"Basic c2tfdGVzdDo=",
            "in quotes": b'Bearer "' + good[7:] + b'"',
        }.items()
    ]
    twice = [(b"authorization", good), (b"authorization", b"Bearer sk_test_wrong")]
    found.append(Hostile("key: there are two", 400, headers=twice, authorised=False))
    body = (f'{{"to": "{play.other_wallet}", "amount": "1.00"}}'.encode(),)
    for given in (b"", b"k" * 256, b"k" * 60_000, b"\xe9", "ключ".encode(), b"a\tb", b"a\x00b"):
        keyed: Headers = [JSON_TYPE, (b"idempotency-key", given)]
        name = f"idempotency key: {given[:10]!r} of {len(given)}"
        found.append(Hostile(name, 400, headers=keyed, body=body))
    for given in (b"", b"2026-11-01, 2026-11-01", b"\xff", b"9" * 9000, SQL.encode()):
        versioned: Headers = [JSON_TYPE, (b"stateset-version", given)]
        found.append(Hostile(f"version: {given[:20]!r}", 400, headers=versioned, body=body))
    return found


def paths(play: Rehearsal) -> list[Hostile]:
    """Paths that are not there, and ids that name nothing of the caller's."""
    one = b"/v1/stablecoin/transfers/"
    ids = {
        "an encoded slash": b"tr%2Ftest",
        "dots": b"..",
        "encoded dots": b"%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "a NUL": b"%00",
        "a NUL at the end": b"tr_test_1%00",
        "a line break": b"tr%0d%0aX-Evil:%201",
        "overlong dots": b"%c0%ae%c0%ae",
        "broken UTF-8": b"%ff%fe",
        "a broken escape": b"%zz",
        "a cut escape": b"tr_%",
        "raw bytes": b"\xff\xfe\x80",
        "SQL": b"x'%20OR%20'1'='1",
        "SQL in comments": b"x';DROP/**/TABLE/**/event;--",
        "HTML": b"%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "10 kB": b"t" * 10_000,
        "a template": b"{id}",
        "format directives": b"%25s%25n{0.__class__}",
        "a right-to-left override": b"%e2%80%aetr_test_1",
        "an emoji": b"%f0%9f%92%b8",
        "an address": play.wallet.encode(),
        "an account": play.party.id.encode(),
        "only the prefix": b"tr_test_",
        "a space": b"%20",
    }
    found = [Hostile(f"id: {name}", 404, "GET", one + id_) for name, id_ in ids.items()]
    verify = b"/v1/stablecoin/reserves/deposits/%s/verify"
    found += [
        Hostile(f"verb on {id_!r}", 404, "POST", verify % id_)
        for id_ in (b"x'%20OR%201=1--", b"%f0%9f%92%b8", b"dep_test_" + b"0" * 26)
    ]
    long = verify % (b"d" * 65)
    found.append(Hostile("verb on an id of 65 characters", 400, "POST", long))
    found += [
        Hostile(f"path: {path!r}", 404, "GET", path)
        for path in (b"", b"/", b"*", b"//", b"/v1/%2e%2e/v1/account", b"/v1/account%2f")
    ]
    found += [
        Hostile(f"method: {method!r}", 405, method) for method in ("", "CONNECT", "post", "é" * 9)
    ]
    return found


def queries(play: Rehearsal) -> list[Hostile]:
    """Query strings, on a list and on a verb."""
    page = b"/v1/stablecoin/transfers"
    found = [
        Hostile(f"query: {query[:40]!r}", 400, "GET", page, query)
        for query in (
            *(b"limit=0", b"limit=101", b"limit=9" + b"9" * 5000, b"limit=%00", b"limit=\xff"),
            *(b"limit[]=1", b"limit[$gt]=1", b"limit=1e1", b"limit=%EF%BC%91", b"limit=-1"),
            *(b"%ff=1", b"a=%ff", b"a=%ed%a0%80", b"=", b"%00=1", b"\xc3\xa9=1", b"[]=1"),
            *(b"created[gte]=x' OR 1=1--", b"created[gte;DROP]=1", b"created;--=1", b"created=%00"),
            *(b"created=99999999999999999999", b"created[gt]=-99999999999", b"created=NaN"),
            *(b"status=confirmed'--", b"status[]=%F0%9F%92%B8", b"status=<script>"),
            *(b"starting_after=' OR ''='", b"starting_after=%00", b"starting_after="),
            *(b"starting_after=" + b"x" * 10_000, b"ending_before=tr_test_1&starting_after=x"),
            *(b"&".join(b"a%d=1" % number for number in range(300)), b"a" * 60_000 + b"=1"),
            *(b"order=amount;DROP TABLE event", b"account=" + play.other.id.encode()),
            *(b"amount[gte]=NaN", b"amount[gte]=-1", b"amount[lt]=1e9", b"amount=" + b"9" * 5000),
            *(b"amount[gt]=%D9%A1", b"amount[gt]=1&amount[gt]=2", b"amount[in]=1", b"amount[]="),
            *(b"status=confirmed&status[]=confirmed", b"created[gt]=1&created[gt]=2"),
            *(b"metadata[a]=1&metadata[a]=2", b"metadata=1", b"metadata[]=1", b"metadata[%00]=1"),
            *(b"metadata[a]=%00", b"metadata[a]=%ff", b"metadata[" + b"k" * 50_000 + b"]=1"),
            *(b"metadata[a]=" + b"v" * 50_000, b"metadata[a", b"metadata[a]]x=1"),
            *(
                b"expand[]=data.zzz",
                b"expand[]=",
                b"expand=data.transaction",
                b"expand[]=transaction",
            ),
            *(b"expand[]=" + b"data." * 9000, b"&".join([b"expand[]=data.transaction"] * 21)),
            *(
                b"expand[]=data.__class__",
                b"expand[]=%F0%9F%92%B8",
                b"expand[99999]=data.transaction",
            ),
        )
    ]
    verb = b"/v1/stablecoin/transfer"
    found += [
        Hostile(f"query of a verb: {query!r}", 400, "POST", verb, query)
        for query in (b"amount=1.00", b"%00", b"x=%ff", b"=")
    ]
    account = b"/v1/account"
    found += [
        Hostile(f"query of a view: {query[:20]!r}", 400, "GET", account, query)
        for query in (b"id=1", b"expand[]=x" * 300, b"=%00")
    ]
    return found


def keys() -> list[Hostile]:
    """Bodies of the verb that makes keys."""
    path = "/v1/api_keys"
    texts = {
        "a type of SQL": f'{{"type": "{SQL}"}}',
        "scopes as an object": '{"type": "restricted", "scopes": {"0": "events:read"}}',
        "scopes with a null": '{"type": "restricted", "scopes": [null]}',
        "a scope of everything": '{"type": "restricted", "scopes": ["*"]}',
        "a time in milliseconds": '{"type": "secret", "expires_at": 1795435200000}',
        "a time of a huge number": '{"type": "secret", "expires_at": 1' + "0" * 400 + "}",
        "a time with a fraction": '{"type": "secret", "expires_at": 1795435200.5}',
        "a time before all time": '{"type": "secret", "expires_at": "0000-00-00"}',
        "a time as a boolean": '{"type": "secret", "expires_at": true}',
        "a livemode of its own": '{"type": "secret", "livemode": true}',
        "a secret of its own": '{"type": "secret", "secret": "sk_test_1"}',
        "a hash of its own": '{"type": "secret", "hash": "00"}',
    }
    return [_json(name, text, path=path) for name, text in texts.items()]


def table(play: Rehearsal) -> list[Hostile]:
    """All of them."""
    return [
        *bodies(play),
        *members(play),
        *sizes(),
        *headers(play),
        *paths(play),
        *queries(play),
        *keys(),
    ]
