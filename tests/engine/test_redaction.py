"""Redaction: all events of an object tell of it as it is now, whoever wrote them and when."""

import msgspec
import pytest

from commerce.areas.customers import customer
from commerce.areas.customers.customer import CreateCustomer, Customer, OneCustomer, UpdateCustomer
from commerce.engine.outbox import EVENT, OBJECT_AT
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.store.memory import Memory
from tests.engine.world import Party, World, codes, command, name

SUBJECT_AT, SEQUENCE_AT = EVENT.names.index("object_id"), EVENT.names.index("sequence")
PREVIOUS_AT = EVENT.names.index("data_previous_attributes")


@pytest.fixture
async def party(world: World) -> Party:
    return await world.open()


async def made(world: World, party: Party, called: str) -> Customer:
    found: Customer = await world.operate(
        customer.create, CreateCustomer(name=called), account=party.id
    )
    return found


def told(memory: Memory, id_: str) -> list[tuple[str | None, str | None]]:
    """The name in each event of a customer, in order, and what was different before."""
    rows = [row for row in memory.rows(EVENT).all() if row[SUBJECT_AT] == id_]
    rows.sort(key=lambda row: row[SEQUENCE_AT])
    return [(msgspec.json.decode(row[OBJECT_AT]).get("name"), row[PREVIOUS_AT]) for row in rows]


async def test_events_of_earlier_batches_and_of_the_same_one_are_redacted_alike(
    world: World, memory: Memory, party: Party
) -> None:
    kept, gone = await made(world, party, "kept"), await made(world, party, "gone")
    batches = world.tally.batches
    answers = await world.submit(
        world.call(
            customer.update, party.caller, UpdateCustomer(id=gone.id, name="gone too"), None
        ),
        world.call(customer.update, party.caller, UpdateCustomer(id=kept.id, name="still"), None),
        world.call(customer.delete, party.caller, OneCustomer(id=gone.id), None),
        world.call(customer.update, party.caller, UpdateCustomer(id=gone.id, name="back"), None),
    )
    assert codes(answers) == ["200", "200", "200", "resource_missing"]
    assert world.tally.batches == batches + 1
    assert told(memory, gone.id) == [(None, None)] * 3
    assert told(memory, kept.id) == [("kept", None), ("still", '{"name":"kept"}')]


async def test_what_is_made_and_deleted_in_one_verb_is_redacted(
    world: World, memory: Memory, party: Party
) -> None:
    ids: list[str] = []

    def make_and_delete(tx: Tx) -> None:
        found = customer.create(tx, CreateCustomer(name="gone"))
        customer.delete(tx, OneCustomer(id=found.id))
        ids.append(found.id)

    assert codes(await world.submit(command(make_and_delete, account=party.id))) == ["200"]
    assert told(memory, ids[-1]) == [(None, None)] * 2


async def test_a_verb_that_is_refused_redacts_nothing(
    world: World, memory: Memory, party: Party
) -> None:
    found = await made(world, party, "kept")

    def refused(tx: Tx) -> None:
        customer.delete(tx, OneCustomer(id=found.id))
        raise ApiError("state_invalid", "No.")

    assert codes(await world.submit(command(refused, account=party.id))) == ["state_invalid"]
    assert told(memory, found.id) == [("kept", None)]


async def test_a_replay_of_what_was_redacted_is_the_object_as_it_is_now(
    world: World, party: Party
) -> None:
    key = name()
    create = world.call(customer.create, party.caller, CreateCustomer(name="gone"), key)
    [first] = await world.submit(create)
    assert not isinstance(first, BaseException)
    id_ = str(first.object_id)
    await world.submit(world.call(customer.delete, party.caller, OneCustomer(id=id_), None))
    [again] = await world.submit(create)
    assert not isinstance(again, BaseException)
    assert (again.status, again.replayed) == (201, True)
    assert msgspec.json.decode(again.body) == {"id": id_, "object": "customer", "deleted": True}
