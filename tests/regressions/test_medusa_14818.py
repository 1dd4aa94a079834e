"""medusa #14818: a tax of fractions of a cent makes a total that no card can be charged.

24.99 with 10.75 % of tax and 6.44 for sending came to 34.116425, of which 34.12 was charged: the
order seemed to be paid too much. Each tax is rounded to the currency's smallest unit here, once.
"""

from __future__ import annotations

from tests.areas.orders.scene import CREATE, VISA
from tests.stage import Stage


async def test_a_tax_has_the_digits_of_its_currency_and_what_is_paid_is_the_total(
    stage: Stage,
) -> None:
    shop = await stage.open_account()
    item = {"name": "Shirt", "unit_price": "24.99", "tax_rate": "10.75"}
    made = await stage.done(
        CREATE,
        shop.key,
        currency="usd",
        items=[item],
        shipping={"amount": "6.44"},
        payment=VISA,
    )
    assert (made["tax_total"], made["total"]) == ("2.69", "34.12")
    assert (made["amount_paid"], made["amount_due"]) == ("34.12", "0.00")
    assert made["items"][0]["total"] == "27.68"
    payment = await stage.get(f"/payments/{made['payments'][0]}", shop.key)
    assert payment["amount_captured"] == "34.12"
