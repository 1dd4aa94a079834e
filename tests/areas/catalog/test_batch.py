"""Products within one batch: each verb sees what those before it did, to codes and to figures."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from commerce.areas.catalog import adjustment, offer
from commerce.areas.catalog.adjustment import AdjustInventory
from commerce.areas.catalog.offer import CreateProduct, InventoryGiven, OneProduct, UpdateProduct
from commerce.engine.answers import Answer
from commerce.engine.outbox import EVENT
from commerce.resource.parameter import Price
from commerce.store.memory import Memory
from tests.engine.world import Party, World, codes

SHOP = Party("acct_1")


def created(sku: str | None, on_hand: int = 0) -> CreateProduct:
    """A product to be made."""
    return CreateProduct(
        name="x", unit_price=Price("1.00"), sku=sku, inventory=InventoryGiven(on_hand=on_hand)
    )


async def made(world: World, sku: str | None, on_hand: int = 0) -> str:
    return str((await world.operate(offer.create, created(sku, on_hand), SHOP.id)).id)


async def together(world: World, *asked: tuple[Any, Any]) -> list[Answer | BaseException]:
    """What verbs that arrive together are answered."""
    return await world.submit(
        *[world.call(verb, SHOP.caller, params, None) for verb, params in asked]
    )


@pytest.fixture
async def world() -> Any:
    async with World(Memory()).running() as world:
        yield world


async def test_a_sku_that_was_just_taken_is_refused_within_the_batch(world: World) -> None:
    one, before = await made(world, "a"), world.tally.batches
    answers = await together(
        world,
        (offer.update, UpdateProduct(id=one, sku="b")),
        (offer.create, created("b")),
        (offer.create, created("c")),
        (offer.create, created("c")),
    )
    assert codes(answers) == ["200", "duplicate_reference", "201", "duplicate_reference"]
    assert world.tally.batches == before + 1


async def test_a_sku_that_was_just_given_up_is_free(world: World) -> None:
    """A unique index may refuse what one statement moves: the batch is then run one by one."""
    one = await made(world, "a")
    answers = await together(
        world,
        (offer.update, UpdateProduct(id=one, sku="b")),
        (offer.create, created("a")),
        (offer.create, created("b")),
        (offer.delete, OneProduct(id=one)),
        (offer.create, created("b")),
    )
    assert codes(answers) == ["200", "201", "duplicate_reference", "200", "201"]


async def test_each_event_has_the_figures_after_its_own_verb_and_before_it(world: World) -> None:
    one, before = await made(world, None, 5), world.tally.batches
    changes = (1, -3, 7)
    await together(
        world,
        *[
            (adjustment.adjust, AdjustInventory(id=one, adjustment=change, reason="other"))
            for change in changes
        ],
    )
    assert world.tally.batches == before + 1
    rows = world.store.rows(EVENT).all()  # type: ignore[attr-defined]
    bodies = [dict(zip(EVENT.names, row, strict=True)) for row in sorted(rows)]
    updated = [each for each in bodies if each["type"] == "product.updated"]
    figures = [
        (
            msgspec.json.decode(each["data_previous_attributes"])["inventory"]["on_hand"],
            msgspec.json.decode(each["data_object"])["inventory"]["on_hand"],
        )
        for each in updated
    ]
    assert figures == [(5, 6), (6, 3), (3, 10)]
