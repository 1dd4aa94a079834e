"""What every store gives to read: the same tests over PostgreSQL and over memory."""

import asyncio

import pytest

from commerce.ledger.account import BALANCE
from commerce.ledger.entry import TRANSACTION
from commerce.store.database import Database
from commerce.store.session import Store
from commerce.store.table import Filter, Page, Sum
from tests.store import row


async def test_what_was_committed_is_found_by_its_keys(store: Store) -> None:
    one, two, nobody = row.name(), row.name(), row.name()
    await row.keep(
        store, row.inserted((BALANCE, row.balance(two, 2)), (BALANCE, row.balance(one, 1)))
    )
    keys = [row.balance_key(two), row.balance_key(nobody), row.balance_key(one)]
    assert await store.find(BALANCE.key, keys) == [row.balance(one, 1), row.balance(two, 2)]


async def test_a_row_is_found_by_another_unique_index_too(store: Store) -> None:
    account, source = row.name(), row.name()
    kept = row.transaction(account, row.name(), source)
    await row.keep(store, row.inserted((TRANSACTION, kept)))
    key = (account, False, source, "transferred")
    assert await store.find(row.BY_SOURCE, [key]) == [kept]
    async with row.opened(store) as session:
        await session.begin()
        assert await session.load({row.BY_SOURCE: {key: False}}) == [(row.BY_SOURCE, [kept])]
        assert await session.find(row.BY_SOURCE, [key]) == [kept]


async def test_the_row_above_a_key_is_of_the_same_beginning(store: Store) -> None:
    one, two = row.name(), row.name()
    kept = [row.balance(one, 1), (*row.balance(one, 2)[:3], "usd", *row.balance(one, 2)[4:])]
    await row.keep(store, row.inserted(*[(BALANCE, each) for each in kept]))
    first, second = (BALANCE.key.of(each) for each in kept)
    below = (*first[:3], "aaa")
    assert await store.above(BALANCE.key, [first, below]) == [kept[0], kept[1]]
    assert await store.above(BALANCE.key, [second, row.balance_key(two)]) == []


async def _listed(store: Store) -> tuple[str, list[str]]:
    account = row.name()
    ids = sorted(row.name() for _ in range(5))
    rows = [
        row.transaction(account, id_, f"src{at}", amount=at + 1, created=10 + at // 2)
        for at, id_ in enumerate(ids)
    ]
    await row.keep(store, row.inserted(*[(TRANSACTION, each) for each in reversed(rows)]))
    return account, ids


async def _ids(store: Store, account: str, *filters: Filter, limit: int = 10) -> list[str]:
    mine = [Filter("account", "=", account), *filters]
    page = Page(TRANSACTION, mine, ("created", "id"), limit)
    return [each[2] for each in await store.page(page)]


async def test_a_page_is_newest_first_and_goes_on_after_a_row(store: Store) -> None:
    account, ids = await _listed(store)
    page = Page(TRANSACTION, [Filter("account", "=", account)], ("created", "id"), 2)
    first = await store.page(page)
    assert [each[2] for each in first] == [ids[4], ids[3]]
    second = await store.page(page._replace(after=(first[-1][4], first[-1][2])))
    assert [each[2] for each in second] == [ids[2], ids[1]]
    back = await store.page(page._replace(after=(10, ids[1]), ascending=True, limit=10))
    assert [each[2] for each in back] == ids[2:]


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("=", 3, [2]),
        ("<>", 3, [4, 3, 1, 0]),
        ("in", [1, 5, 9], [4, 0]),
        (">", 3, [4, 3]),
        (">=", 3, [4, 3, 2]),
        ("<", 3, [1, 0]),
        ("<=", 3, [2, 1, 0]),
    ],
)
async def test_a_page_is_filtered(
    store: Store, operator: str, value: object, expected: list[int]
) -> None:
    account, ids = await _listed(store)
    found = await _ids(store, account, Filter("amount", operator, value))
    assert found == [ids[at] for at in expected]


async def test_a_page_is_filtered_by_members_of_json(store: Store) -> None:
    account, ids = await _listed(store)
    tagged = row.transaction(account, row.name(), "tagged")
    at = TRANSACTION.names.index("metadata")
    tagged = (*tagged[:at], '{"a": "1", "b": "2"}', *tagged[at + 1 :])
    await row.keep(store, row.inserted((TRANSACTION, tagged)))
    for held, found in (
        ('{"a": "1"}', [tagged[2]]),
        ('{"b": "2", "a": "1"}', [tagged[2]]),
        ('{"a": "2"}', []),
        ('{"c": "1"}', []),
    ):
        assert await _ids(store, account, Filter("metadata", "@>", held)) == found
    assert len(ids) == 5


async def test_a_page_is_filtered_by_elements_of_json(store: Store) -> None:
    account, _ = await _listed(store)
    tagged = row.transaction(account, row.name(), "tagged")
    at = TRANSACTION.names.index("metadata")
    tagged = (*tagged[:at], '["a", "b"]', *tagged[at + 1 :])
    await row.keep(store, row.inserted((TRANSACTION, tagged)))
    for held, found in (('["b"]', [tagged[2]]), ('["b", "a"]', [tagged[2]]), ('["a", "c"]', [])):
        assert await _ids(store, account, Filter("metadata", "@>", held)) == found


async def test_a_column_without_a_value_matches_no_filter_but_that(store: Store) -> None:
    account, ids = await _listed(store)
    assert await _ids(store, account, Filter("sender", "null", None)) == ids[::-1]
    assert await _ids(store, account, Filter("recipient", "null", None)) == []
    for operator in ("=", "<>", "in"):
        value = ["x"] if operator == "in" else "x"
        assert await _ids(store, account, Filter("sender", operator, value)) == []


async def test_sums_are_by_another_column(store: Store) -> None:
    account = row.name()
    rows = [row.balance(account, 2, "a"), row.balance(account, 3, "b")]
    rows.append((account, False, "a", "usd", False, True, 4, 1, 0))
    await row.keep(store, row.inserted(*[(BALANCE, each) for each in rows]))
    filters = [Filter("account", "=", account), Filter("code", "in", ["a", "b"])]
    by_code = Sum(BALANCE, "balance", "code", filters)
    by_currency = by_code._replace(by="currency")
    nobody = by_code._replace(filters=[Filter("account", "=", "-")])
    found = await store.sums(by_code, nobody, by_currency)
    assert found == [{"a": 6, "b": 3}, {}, {"ssusd": 5, "usd": 4}]


async def test_who_reads_first_at_the_same_time_shares_one_pool(database: Database) -> None:
    one, other = await asyncio.gather(database._pooled(), database._pooled())
    assert one is other
