"""Overlays: what a verb changed is kept when it returns, dropped when it raises."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.engine.batch import writing
from commerce.engine.overlay import DIRECTORY_SIZE_MAX, Directory, Miss, Overlay, WorkingSet
from commerce.ledger.account import BALANCE
from commerce.ledger.directory import ADDRESS
from commerce.ledger.entry import ENTRY
from commerce.store.table import Index, Key, Row

KEYS = [(False, f"a{at}") for at in range(5)]
INDEX = ADDRESS.key


def row(key: Key, value: int) -> Row:
    return (*key, f"acct_{value}", False)


class Verb:
    """What one verb does to rows, and whether it returns."""

    def __init__(self, puts: dict[Key, int], *, returns: bool) -> None:
        self.puts = puts
        self.returns = returns

    def __repr__(self) -> str:
        return f"Verb({self.puts}, returns={self.returns})"


verbs = st.lists(
    st.builds(
        Verb,
        st.dictionaries(st.sampled_from(KEYS), st.integers(0, 9)),
        returns=st.booleans(),
    )
)


@given(there=st.sets(st.sampled_from(KEYS)), verbs=verbs)
def test_what_is_read_and_written_is_what_the_kept_verbs_left(
    there: set[Key], verbs: list[Verb]
) -> None:
    working = WorkingSet()
    working.take(
        {INDEX: dict.fromkeys(KEYS, True)}, [(INDEX, [row(key, 0) for key in sorted(there)])]
    )
    model: dict[Key, Any] = {key: row(key, 0) if key in there else None for key in KEYS}
    changed: set[Key] = set()
    announced: list[str] = []
    for verb in verbs:
        overlay = Overlay(working)
        seen = dict(model)
        for key, value in verb.puts.items():
            assert overlay.read(INDEX, key, lock=True) == seen[key]
            seen[key] = row(key, value)
            overlay.put(INDEX, key, seen[key])
            overlay.append(ENTRY, (key, value))
            assert {each: overlay.read(INDEX, each) for each in KEYS} == seen
        if verb.returns:
            overlay.keep()
            model, changed = seen, changed | set(verb.puts)
            announced += [f"address:{key[-1]}" for key in verb.puts]
    written = writing(working)
    assert written.inserts.get(ADDRESS, []) == [model[key] for key in sorted(changed - there)]
    assert written.updates.get(ADDRESS, []) == [model[key] for key in sorted(changed & there)]
    kept = [(key, value) for v in verbs if v.returns for key, value in v.puts.items()]
    assert written.inserts.get(ENTRY, []) == kept
    assert written.announcements == announced
    assert working.writes() == bool(changed)


def taken(*rows: Row, lock: bool, index: Index = INDEX) -> Overlay:
    working = WorkingSet()
    working.take({index: {index.of(each): lock for each in rows}}, [(index, list(rows))])
    return Overlay(working)


def test_a_row_nobody_looked_for_is_a_miss_and_an_absent_one_is_none() -> None:
    overlay = taken(lock=True)
    overlay.working.take({INDEX: {KEYS[0]: False}}, [(INDEX, [])])
    assert overlay.read(INDEX, KEYS[0]) is None
    with pytest.raises(Miss) as caught:
        overlay.read(INDEX, KEYS[1], lock=True)
    assert (caught.value.index, caught.value.keys, caught.value.lock) == (INDEX, (KEYS[1],), True)


def test_a_row_that_was_read_is_not_thereby_locked() -> None:
    overlay = taken(row(KEYS[0], 1), lock=False)
    assert overlay.read(INDEX, KEYS[0]) == row(KEYS[0], 1)
    with pytest.raises(Miss):
        overlay.read(INDEX, KEYS[0], lock=True)


def test_a_row_that_is_not_there_needs_no_lock() -> None:
    overlay = taken(lock=False)
    overlay.working.take({INDEX: {KEYS[0]: False}}, [(INDEX, [])])
    assert overlay.read(INDEX, KEYS[0], lock=True) is None


def test_a_row_that_an_earlier_verb_made_is_nobody_elses_and_so_locked() -> None:
    overlay = taken(lock=False)
    overlay.put(INDEX, KEYS[0], row(KEYS[0], 1))
    overlay.keep()
    later = Overlay(overlay.working)
    assert later.read(INDEX, KEYS[0], lock=True) == row(KEYS[0], 1)


def test_rows_found_by_another_key_are_read_by_their_own() -> None:
    by_code = Index(BALANCE, ("account", "code"))
    balance = ("acct_1", False, "cash", "ssusd", True, False, 5, 1)
    overlay = taken(balance, lock=False, index=by_code)
    key = overlay.read(by_code, ("acct_1", "cash"))
    assert key == BALANCE.key.of(balance)
    assert overlay.read(BALANCE.key, key) == balance


def test_the_directory_knows_owners_and_forgets_before_it_grows_too_large() -> None:
    directory = Directory()
    directory.learn((False, "mine", "acct_1", False))
    directory.learn((False, "external", None, True))
    assert directory.owner((False, "mine")) == "acct_1"
    assert directory.owner((True, "mine")) is None
    assert directory.owner((False, "external")) is None
    for at in range(DIRECTORY_SIZE_MAX):
        directory.learn((False, f"other{at}", "acct_2", False))
    assert len(directory._owners) <= DIRECTORY_SIZE_MAX
    assert directory.owner((False, f"other{DIRECTORY_SIZE_MAX - 1}")) == "acct_2"
