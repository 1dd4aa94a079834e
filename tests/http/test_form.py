"""Forms: what brackets mean, what is refused, and that a form is read as its JSON would be."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, get_type_hints
from urllib.parse import quote

import msgspec
import pytest

from commerce.http import form, params
from commerce.http.form import FIELDS_MAX, parse_form
from commerce.kernel.errors import ApiError
from commerce.resource.operation import Params
from commerce.resource.parameter import Amount, Metadata, Moment
from tests.contract import refusal
from tests.stage import Party, Stage

TRANSFER = "/stablecoin/transfer"
TYPE = "application/x-www-form-urlencoded"


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sku: str
    quantity: int = 1
    tags: list[str] = []
    metadata: dict[str, str] = {}


class Order(Params, frozen=True, kw_only=True):
    customer: str | None = None
    items: list[Item] = []
    numbers: Annotated[list[int], msgspec.Meta(max_length=5)] | None = None
    gift: bool | None = None
    amount: Amount | None = None
    at: Moment | None = None
    metadata: Metadata = {}
    source: Item | None = None


def read(text: str | bytes) -> Any:
    body = text if isinstance(text, bytes) else text.encode()
    order = params.convert(Order, parse_form(body, Order), {}, strict=False)
    return msgspec.json.decode(msgspec.json.encode(order, enc_hook=str))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("customer=a", {"customer": "a"}),
        ("customer=", {"customer": ""}),
        ("customer=null", {"customer": "null"}),
        ("customer=5", {"customer": "5"}),
        ("customer=a+b%20c%2B&", {"customer": "a b c+"}),
        ("customer=ключ", {"customer": "ключ"}),
        ("gift=true", {"gift": True}),
        ("gift=0", {"gift": False}),
        ("items[0][sku]=a&items[0][quantity]=2", {"items": [{"sku": "a", "quantity": 2}]}),
        ("items%5B0%5D%5Bsku%5D=a", {"items": [{"sku": "a"}]}),
        ("items[1][sku]=b&items[0][sku]=a", {"items": [{"sku": "a"}, {"sku": "b"}]}),
        ("items[][sku]=a&items[][sku]=b", {"items": [{"sku": "a"}, {"sku": "b"}]}),
        (
            "items[][sku]=a&items[][quantity]=2&items[][quantity]=3&items[][sku]=b",
            {"items": [{"sku": "a", "quantity": 2}, {"sku": "b", "quantity": 3}]},
        ),
        (
            "items[][sku]=a&items[][tags][]=x&items[][tags][]=y&items[][sku]=b",
            {"items": [{"sku": "a", "tags": ["x", "y"]}, {"sku": "b"}]},
        ),
        (
            "items[0][sku]=a&items[0][metadata][0]=x",
            {"items": [{"sku": "a", "metadata": {"0": "x"}}]},
        ),
        ("numbers[]=1&numbers[]=2&numbers[]=1", {"numbers": [1, 2, 1]}),
        ("numbers[0]=7&numbers[1]=8", {"numbers": [7, 8]}),
        ("metadata[a]=b&metadata[0]=c", {"metadata": {"a": "b", "0": "c"}}),
        ("metadata[0]=c&metadata[1]=d", {"metadata": {"0": "c", "1": "d"}}),
        ("metadata[a]=", {"metadata": {"a": ""}}),
        ("source[sku]=a&source[tags][0]=x", {"source": {"sku": "a", "tags": ["x"]}}),
    ],
)
def test_a_form_is_read_as_its_types_say(text: str, expected: dict[str, Any]) -> None:
    given = read(text)
    whole = read(b"")
    for item in [*expected.get("items", ()), *filter(None, [expected.get("source")])]:
        for name, default in (("quantity", 1), ("tags", []), ("metadata", {})):
            item.setdefault(name, default)
    assert given == {**whole, **expected}


def test_amounts_and_times_are_read_as_from_json() -> None:
    form = parse_form(b"amount[denom]=ssusd&amount[amount]=1500000&at=2026-11-23", Order)
    coin = params.convert(Order, form, {}, strict=False)
    json = {"amount": {"denom": "ssusd", "amount": "1500000"}, "at": 1_795_392_000}
    assert coin == params.convert(Order, json, {}, strict=True)
    plain = params.convert(Order, parse_form(b"amount=1.50", Order), {}, strict=False)
    assert plain.amount == coin.amount


HOSTILE = (
    *("customer=a&customer=b", "customer=a&customer[x]=b", "customer[x]=b&customer=a"),
    *("items[0][sku]=a&items[0][sku]=b", "items[0]=a&items[0][sku]=b", "items[][sku]=a&items=b"),
    *("items[]=a&items[0]=b", "items[0]=b&items[]=a", "items[0][sku]=a&items[][sku]=b"),
    *("items[][sku]=a&items[1][sku]=b", "items[1][sku]=a", "items[0][sku]=a&items[2][sku]=b"),
    *("items[00][sku]=a", "items[-1][sku]=a", "items[\u0660][sku]=a", "items[1e3][sku]=a"),
    *("items[99999999999999999999][sku]=a", "items[x][sku]=a", "items=a", "items[sku]=a"),
    *("items[0][sku=a", "items[0]sku]=a", "items[0]x[sku]=a", "items]=a", "[items]=a", "[]=a"),
    *("items[[0]]=a", "items[0][]]=a", "=a", "=", "&=&", "zzz=1", "zzz[a]=1", "items[0][zzz]=1"),
    *("numbers[]=x", "numbers[]=\u0665", "numbers[]=1.5", "numbers[]=NaN", "numbers[]="),
    "numbers=1",
    *("numbers[][]=1", "numbers[][a]=1", "gift=yes", "gift=", "gift[]=true", "metadata=a"),
    *("metadata[]=a", "metadata[a][b]=c", "metadata[a]=1&metadata[a]=2", "metadata[]=", "a[]"),
    *("metadata[%00]=a", "customer=%00", "customer=%ff", "customer=%ed%a0%80", "%ff=a"),
    *("amount=NaN", "amount=-1", "amount=1e5", "amount=٣", "amount=", "amount[denom]=ssusd"),
    *("at=soon", "at=", "at[]=1", "customer" + "[a]" * 9 + "=1", "a" + "[]" * 9 + "=1"),
    *("a" + "[" * 100_000, "a" + "]" * 100_000, "a" + "[]" * 100_000, "&".join(["a=1"] * 4_001)),
    *("numbers[]=1&" * 6, "items[0][sku]=a&" * 300, "__proto__[a]=1"),
    "metadata[" + "k" * 41 + "]=v",
    *("x=1;customer=a", "items[][][sku]=a", "source[]=a", "source[0]=a", "customer[]=a"),
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_two_readers_could_read_differently_is_refused(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        read(text)
    assert refused.value.status == 400
    assert len(refused.value.message) < 500
    assert len(refused.value.param or "") < 200


def test_bytes_that_are_no_text_are_refused() -> None:
    for body in (
        b"\xff=1",
        b"customer=\xed\xa0\x80",
        b"customer=\xc0\xaf",
        b"a=1&" * FIELDS_MAX + b"b=1",
    ):
        with pytest.raises(ApiError) as refused:
            read(body)
        assert refused.value.code == "parameter_invalid"


DEEP = "[0]" * 7


@pytest.mark.parametrize(
    "text",
    [
        "&".join(f"items[{number}][tags]{DEEP}=a" for number in range(FIELDS_MAX)),
        "&".join(f"metadata[a{number}]{DEEP}=a" for number in range(FIELDS_MAX)),
        "&".join(["items[][sku]=a"] * FIELDS_MAX),
        "&".join(f"numbers[{number}]=1" for number in range(FIELDS_MAX)),
    ],
    ids=["deep items", "deep members", "items", "numbers"],
)
def test_a_type_is_looked_at_once_however_many_fields_a_form_has(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []

    def recorded(hint: Any, *rest: Any, **named: Any) -> Any:
        looked.append(hint)
        return get_type_hints(hint, *rest, **named)

    monkeypatch.setattr(form, "get_type_hints", recorded)
    with suppress(ApiError):
        read(text)
    assert len(looked) <= 2


def test_a_list_that_is_too_long_is_refused_before_its_items_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shaped, looked = form._shaped, []

    def recorded(value: Any, hint: Any, at: str) -> Any:
        looked.append(at)
        return shaped(value, hint, at)

    monkeypatch.setattr(form, "_shaped", recorded)
    with pytest.raises(ApiError) as refused:
        read("&".join(f"numbers[{number}]=1" for number in range(6)))
    assert (refused.value.code, refused.value.param) == ("parameter_invalid", "numbers")
    assert refused.value.message == "'numbers' has more than 5 items."
    assert looked == ["numbers"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("free[a][0][b]=x", {"a": [{"b": "x"}]}),
        ("free[]=x", ["x"]),
        ("free[0][0]=x&free[0][1]=y", [["x", "y"]]),
    ],
)
def test_what_may_be_anything_is_read_as_it_looks(text: str, expected: Any) -> None:
    class Free(Params, frozen=True, kw_only=True):
        free: Any = None

    assert parse_form(text.encode(), Free) == {"free": expected}


@pytest.fixture(scope="module")
async def party(stage: Stage) -> Party:
    party = await stage.open_account()
    await stage.fund(party.wallet, "100.00")
    return party


async def post(stage: Stage, party: Party, text: str, *headers: tuple[bytes, bytes]) -> Any:
    given = [
        (b"authorization", f"Bearer {party.key}".encode()),
        (b"content-type", f"{TYPE}; charset=utf-8".encode()),
        *headers,
    ]
    return await stage.send("POST", f"/v1{TRANSFER}".encode(), given, text.encode())


async def test_a_form_and_its_json_are_one_request_under_one_key(
    stage: Stage, party: Party
) -> None:
    other = await stage.open_account()
    key = (b"idempotency-key", b"form-or-json")
    text = f"to={other.wallet}&amount=1.00&memo={quote('für dich')}&metadata[a]=b&metadata[0]=c"
    first = await post(stage, party, text, key)
    assert first.status == 201, first.body
    assert first.json["metadata"] == {"a": "b", "0": "c"}
    body = {
        "metadata": {"0": "c", "a": "b"},
        "memo": "für dich",
        "to": other.wallet,
        "amount": "1.00",
    }
    again = await stage.ask(f"POST {TRANSFER}", party.key, body, Idempotency_Key="form-or-json")
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_bad_form_is_refused_in_the_contracts_words(stage: Stage, party: Party) -> None:
    before = await stage.dump()
    for text, code, param in (
        ("amount=1.00", "parameter_missing", "to"),
        ("to=a&to=b", "parameter_invalid", "to"),
        ("to=x&amont=1", "parameter_unknown", "amont"),
        ("to=x&amount=1.0000001", "amount_precision", "amount"),
        ("to=x&amount=1&metadata[a][b]=c", "parameter_invalid", "metadata.a"),
        ('{"to": "x"}', "parameter_unknown", '{"to": "x"}'),
    ):
        reply = await post(stage, party, text)
        refusal.check(reply)
        assert (reply.error["code"], reply.error["param"]) == (code, param), text
    big = await post(stage, party, "memo=" + "x" * (1 << 20))
    refusal.is_(big, 413, "body_too_large")
    assert await stage.dump() == before


async def test_json_stays_strict(stage: Stage, party: Party) -> None:
    made = await stage.done("POST /api_keys", party.key, type="public")
    reply = await stage.ask(f"POST /api_keys/{made['id']}/roll", party.key, {"expires_in": "60"})
    refusal.is_(reply, 400, "parameter_invalid", "expires_in")
