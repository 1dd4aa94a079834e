"""Settings: how long orders wait is the operator's to say."""

from __future__ import annotations

from tests.areas.orders.scene import DAY, in_state, order, seen, shop_of
from tests.stage import Stage


async def test_an_order_waits_as_long_as_the_operator_says(stage: Stage) -> None:
    engine = stage.app.engine
    before = engine.means
    engine.means = before._replace(
        order_expiry_hours=2, order_completion_days=1, order_dispute_days=5
    )
    try:
        shop = await shop_of(stage)
        made = await order(stage, shop)
        assert made["expires_at"] == made["created"] + 7200
        sent = await in_state(stage, shop, "delivered", escrow=True)
        assert sent["dispute_until"] == sent["delivered_at"] + 5 * DAY
        stage.clock.advance(DAY)
        while await stage.app.worker.turn():
            pass
        assert (await seen(stage, shop, sent))["status"] == "completed"
        assert (await seen(stage, shop, made))["status"] == "cancelled"
    finally:
        engine.means = before
