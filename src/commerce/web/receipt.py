"""The page of a receipt: what was paid, to whom and when, for whoever has its address."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape

from commerce.kernel.money import Money
from commerce.web.page import framed, table


def page(  # noqa: PLR0913 - what stands on a receipt
    *,
    payment: str,
    created: int,
    amount: Money,
    refunded: Money,
    recipient: str,
    description: str | None,
    livemode: bool,
) -> bytes:
    """A receipt as a page of its own."""
    currency = "ssUSD" if amount.currency == "ssusd" else amount.currency.upper()
    when = datetime.fromtimestamp(created, UTC).strftime("%d %B %Y, %H:%M UTC")
    rows = [
        ("Paid", f"{amount.text} {currency}"),
        ("On", when),
        ("To", recipient),
        *([("For", description)] if description else []),
        *([("Given back", f"{refunded.text} {currency}")] if refunded.minor else []),
        ("Payment", payment),
    ]
    shown = table((), [(f"<strong>{escape(name)}</strong>", escape(text)) for name, text in rows])
    note = "" if livemode else '<p class="quiet">Test mode: no real money moved.</p>'
    return framed("Receipt", (), f"<h1>Receipt</h1>{note}{shown}")
