"""What was let through on a memory is decided again on what the store says now."""

import asyncio

import pytest

from commerce.areas.identity import account, api_key
from commerce.engine import batch
from commerce.http.auth import Authenticator
from commerce.kernel.errors import ApiError
from commerce.ledger.account import BALANCE
from commerce.ledger.entry import TRANSACTION
from commerce.resource.parameter import Moment
from commerce.store.memory import Memory
from tests.engine.world import World, codes


async def test_a_revoked_key_moves_nothing_where_it_is_still_thought_alive(
    world: World, other: World, memory: Memory
) -> None:
    alice, bob = await world.open("100.00", key=True), await world.open()
    networks = frozenset({False})
    authenticator = Authenticator(world.ring, networks=networks, now=world.now)
    header = f"Bearer {alice.secret}".encode()
    await authenticator.authenticate(header)
    assert alice.key is not None
    params = api_key.OneApiKey(id=alice.key)
    await other.submit(other.call(api_key.revoke, alice._replace(key=None).caller, params, None))
    assert (await authenticator.authenticate(header)).status == "active", "it has heard of it"
    booked = len(memory.rows(TRANSACTION).all())
    answers = await world.submit(world.transfer(alice, bob, "1.00", "k"))
    assert codes(answers) == ["api_key_revoked"]
    assert len(memory.rows(TRANSACTION).all()) == booked


async def test_a_key_that_expires_on_its_way_in_moves_nothing(world: World) -> None:
    alice, bob = await world.open("100.00"), await world.open()
    asked = api_key.CreateApiKey(type="secret", expires_at=Moment(world.now() + 10))
    made = await world.operate(api_key.create, asked, alice.id)
    alice = alice._replace(key=made.id)
    assert codes(await world.submit(world.transfer(alice, bob, "1.00"))) == ["201"]
    world.clock.advance(10)
    assert codes(await world.submit(world.transfer(alice, bob, "1.00"))) == ["api_key_expired"]


async def test_a_key_that_is_not_there_moves_nothing(world: World) -> None:
    alice, bob = await world.open("100.00"), await world.open()
    alice = alice._replace(key="key_test_never")
    assert codes(await world.submit(world.transfer(alice, bob, "1.00"))) == ["api_key_invalid"]


async def test_an_address_blocked_by_another_process_is_refused_at_once(
    world: World, other: World
) -> None:
    alice, bob = await world.open("100.00"), await world.open()
    await world.submit(world.transfer(alice, bob, "1.00"))
    params = account.BlockAddress(address=bob.wallet, blocked=True)
    await other.operate(account.block, params)
    with pytest.raises(ApiError, match="sanctioned_party"):
        await world.engine.submit(world.transfer(alice, bob, "1.00"))


async def test_limits_lowered_by_another_process_hold_at_once(world: World, other: World) -> None:
    alice, bob = await world.open("10000.00"), await world.open()
    await world.submit(world.transfer(alice, bob, "5001.00"))
    params = account.UpdateAccount(account=alice.id, verification="basic")
    await other.operate(account.update, params)
    assert codes(await world.submit(world.transfer(alice, bob, "5001.00"))) == ["limit_exceeded"]


async def test_what_was_revoked_during_a_long_wait_for_a_lock_moves_nothing(
    world: World, other: World, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "STALE_SECONDS", 0.05)
    alice, bob = await world.open("100.00", key=True), await world.open()
    await world.submit(world.transfer(alice, bob, "1.00"))
    holder = await memory.session()
    await holder.begin()
    await holder.load({BALANCE.key: {alice.available.shard(0): True}})
    waiting = asyncio.create_task(world.submit(world.transfer(alice, bob, "1.00", "k")))
    await asyncio.sleep(0.02)
    assert alice.key is not None
    params = api_key.OneApiKey(id=alice.key)
    await other.submit(other.call(api_key.revoke, alice._replace(key=None).caller, params, None))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await holder.rollback()
    assert codes(await waiting) == ["api_key_revoked"]
    await holder.close()
