"""Rewrites: rows changed by what they have in common, in both stores alike."""

from commerce.engine.answers import ANSWER
from commerce.store.session import Store
from commerce.store.table import Rewrite, Row, Writing
from tests.store import row

MATCH, CHANGED = ("account", "livemode"), ("body", "object_id")


def rewrite(account: str, body: str | None) -> Writing:
    """All answers of an account get a body, and are of no object any more."""
    return Writing({}, {}, (), [Rewrite(ANSWER, MATCH, CHANGED, [(account, False, body, None)])])


async def answers(store: Store, account: str, *keys: str) -> list[Row]:
    return await store.find(ANSWER.key, [(account, False, key) for key in keys])


async def test_all_rows_that_agree_are_changed_in_the_columns_named_and_no_others(
    store: Store,
) -> None:
    mine, other = row.name(), row.name()
    given = [(ANSWER, row.answer(owner, key)) for owner in (mine, other) for key in ("a", "b")]
    await row.keep(store, row.inserted(*given))
    await row.keep(store, rewrite(mine, "gone"))
    expected = [row.answer(mine, key, "gone") for key in ("a", "b")]
    assert await answers(store, mine, "a", "b") == expected
    assert await answers(store, other, "a", "b") == [row.answer(other, key) for key in ("a", "b")]


async def test_a_rewrite_sets_null_and_may_find_nothing(store: Store) -> None:
    account = row.name()
    await row.keep(store, rewrite(account, "nobody"))
    await row.keep(store, row.inserted((ANSWER, row.answer(account))))
    await row.keep(store, rewrite(account, None))
    place = ANSWER.names.index("body")
    assert [each[place] for each in await answers(store, account, "k")] == [None]


async def test_it_is_written_beside_rows_of_its_batch_which_it_does_not_see(store: Store) -> None:
    account = row.name()
    await row.keep(store, row.inserted((ANSWER, row.answer(account, "old"))))
    fresh = row.answer(account, "new", "fresh")
    writing = rewrite(account, "gone")._replace(inserts={ANSWER: [fresh]})
    await row.keep(store, writing)
    assert await answers(store, account, "new") == [fresh]
    assert await answers(store, account, "old") == [row.answer(account, "old", "gone")]


async def test_a_rewrite_that_is_rolled_back_leaves_everything(store: Store) -> None:
    account = row.name()
    await row.keep(store, row.inserted((ANSWER, row.answer(account))))
    async with row.opened(store) as session:
        await session.begin()
        await session.write(rewrite(account, "gone"))
        await session.rollback()
    assert await answers(store, account, "k") == [row.answer(account)]


async def test_it_sees_what_others_have_committed_since_its_transaction_began(
    store: Store,
) -> None:
    account = row.name()
    async with row.opened(store) as session:
        await session.begin()
        await session.find(ANSWER.key, [(account, False, "k")])
        await row.keep(store, row.inserted((ANSWER, row.answer(account))))
        await session.write(rewrite(account, "gone"))
        await session.commit()
    assert await answers(store, account, "k") == [row.answer(account, "k", "gone")]
