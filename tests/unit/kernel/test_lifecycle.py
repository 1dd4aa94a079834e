"""Lifecycles: moves, refusals, and tables that are wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.kernel.errors import ApiError
from commerce.kernel.lifecycle import Lifecycle

REDEMPTION = Lifecycle(
    "redemption",
    """
    # a comment on a line of its own
    pending     start     processing
    pending     cancel    cancelled     # and one behind a move
    processing  cancel    cancelling
    processing  complete  completed
    cancelling  complete  cancelled
    """,
)
MOVES = {
    ("pending", "start"): "processing",
    ("pending", "cancel"): "cancelled",
    ("processing", "cancel"): "cancelling",
    ("processing", "complete"): "completed",
    ("cancelling", "complete"): "cancelled",
}


@given(st.sampled_from(REDEMPTION.states), st.sampled_from(["start", "cancel", "complete"]))
def test_a_move_follows_the_table_or_is_refused(state: str, verb: str) -> None:
    if (state, verb) in MOVES:
        assert REDEMPTION.move(state, verb) == MOVES[state, verb]
        assert verb in REDEMPTION.allowed(state)
        return
    assert verb not in REDEMPTION.allowed(state)
    with pytest.raises(ApiError) as refusal:
        REDEMPTION.move(state, verb)
    assert refusal.value.code == "state_invalid"
    for word in ("redemption", f"'{state}'", *REDEMPTION.allowed(state)):
        assert word in refusal.value.message


def test_a_refusal_names_both_states_and_what_is_allowed() -> None:
    with pytest.raises(ApiError) as refusal:
        REDEMPTION.move("pending", "complete")
    assert refusal.value.message == (
        "This redemption is 'pending' and cannot become 'completed' or 'cancelled'."
        " What it allows now: start, cancel."
    )


def test_what_was_done_already_is_said_to_be_so() -> None:
    with pytest.raises(ApiError) as refusal:
        REDEMPTION.move("processing", "start")
    assert refusal.value.message == (
        "This redemption is already 'processing'. What it allows now: cancel, complete."
    )
    with pytest.raises(ApiError) as refusal:
        REDEMPTION.move("completed", "complete")
    assert refusal.value.message == "This redemption is already 'completed'. It is final."


def test_a_refusal_names_every_state_the_verb_could_lead_to() -> None:
    with pytest.raises(ApiError, match=r"'cancelled' or 'cancelling'\. It is final"):
        REDEMPTION.move("completed", "cancel")


def test_the_table_is_read_in_order() -> None:
    assert REDEMPTION.initial == "pending"
    assert REDEMPTION.states == ("pending", "processing", "cancelled", "cancelling", "completed")
    assert REDEMPTION.terminal == ("cancelled", "completed")
    assert REDEMPTION.allowed("pending") == ("start", "cancel")
    assert REDEMPTION.allowed("completed") == ()


@pytest.mark.parametrize(("state", "verb"), [("lost", "start"), ("pending", "explode")])
def test_a_state_or_verb_the_table_lacks_is_a_programming_error(state: str, verb: str) -> None:
    with pytest.raises(KeyError):
        REDEMPTION.move(state, verb)


def test_it_draws_itself() -> None:
    assert Lifecycle("lamp", "off press on\non press off\non fall broken").mermaid() == (
        "stateDiagram-v2\n"
        "    [*] --> off\n"
        "    off --> on: press\n"
        "    on --> off: press\n"
        "    on --> broken: fall\n"
        "    broken --> [*]"
    )


@pytest.mark.parametrize(
    ("name", "table", "fault"),
    [
        ("lamp", "", "the table is empty"),
        ("lamp", "# only a comment", "the table is empty"),
        ("lamp", "off press", "not 'state verb state'"),
        ("lamp", "off press on now", "not 'state verb state'"),
        ("lamp", "off press on\noff press broken", "'off press' stands twice"),
        ("lamp", "off press-hard on", "'press-hard' is not an identifier"),
        ("lamp", "off press on|", "'' is not an identifier"),
        ("a lamp", "off press on", "'a lamp' is not an identifier"),
        ("lamp", "off press on\nlost find off", "nothing leads to lost"),
        ("lamp", "off press on\na go b\nb go a", "nothing leads to a, b"),
    ],
)
def test_a_wrong_table_is_refused_at_construction(name: str, table: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Lifecycle(name, table)


def test_a_refusal_names_the_state_a_verb_leads_to_wherever_it_stands_in_the_table() -> None:
    made = Lifecycle("box", "open close shut\nshut open open")
    with pytest.raises(ApiError, match=r"This box is already 'shut'\."):
        made.move("shut", "close")
    with pytest.raises(ApiError, match=r"This box is already 'open'\. What it allows now: close\."):
        made.move("open", "open")


def test_a_verb_may_lead_to_one_of_several_states_as_the_object_says() -> None:
    made = Lifecycle("parcel", "held release new|packed\nnew hold held\npacked hold held")
    assert made.states == ("held", "new", "packed")
    assert made.move("held", "release") == "new"
    assert made.move("held", "release", "packed") == "packed"
    assert made.targets("held", "release") == ("new", "packed")
    assert made.allowed("held") == ("release",)
    with pytest.raises(ValueError, match="'held release' does not lead to 'held'"):
        made.move("held", "release", "held")
    with pytest.raises(ApiError, match=r"This parcel is already 'packed'\."):
        made.move("packed", "release")
    assert "held --> new: release\n    held --> packed: release" in made.mermaid()
