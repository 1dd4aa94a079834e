"""medusa #13301: paid, and no order, where two finish a cart at once.

The client that was answered by the processor, and what the processor tells by itself, both capture
the payment and complete the cart. One of them fails and undoes what it has not done alone: the
money is taken, and the order is not there. Here the answer of the processor is lost as well, so
that a retry under the same key, another order's request and two workers all come at once.
"""

from __future__ import annotations

import asyncio

from commerce.gateways.cards import port
from tests.areas.orders.scene import CREATE, VISA, counted, product
from tests.areas.payments.card.scene import heard
from tests.stage import Stage


async def test_what_was_paid_is_one_order_however_many_finish_it_at_once(stage: Stage) -> None:
    shop = await stage.open_account()
    id_ = await product(stage, shop, 10, "25.00", currency="usd")
    body = {"currency": "usd", "items": [{"product": id_}], "payment": VISA, "number": "CART-7"}
    processor = stage.app.engine.outside._ways[port.Charge]

    async def lose_the_answer(call: port.Charge) -> None:
        """The processor charges, and its answer does not arrive."""
        await processor(call)
        raise TimeoutError

    with heard(stage, lose_the_answer, port.Charge):
        begun = await stage.ask(CREATE, shop.key, body, Idempotency_Key="cart-7")
    assert (begun.json["object"], begun.json["status"]) == ("payment", "processing")
    payment, order_id = begun.json["id"], begun.json["order"]

    stage.clock.advance(61)
    worker = stage.app.worker
    again = [stage.ask(CREATE, shop.key, body, Idempotency_Key="cart-7") for _ in range(3)]
    await asyncio.gather(worker.turn(), worker.turn(), *again)

    made = await stage.get(f"/orders/{order_id}", shop.key)
    assert (made["status"], made["payments"], made["number"]) == ("paid", [payment], "CART-7")
    page = await stage.get("/orders?number=CART-7", shop.key)
    assert len(page["data"]) == 1
    asked = "SELECT count(*) AS times FROM test_call WHERE account = $1 AND id <> 'pay_test_456'"
    assert (await stage.rows(asked, shop.id))[0]["times"] == 1
    assert await counted(stage, shop, id_) == (9, 1)
    last = await stage.ask(CREATE, shop.key, body, Idempotency_Key="cart-7")
    assert last.json["id"] in {order_id, payment}
    await stage.audit()
