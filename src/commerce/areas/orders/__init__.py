"""Orders: what was bought, from the first item to the last refund."""

from __future__ import annotations

from typing import Final

from commerce.areas.orders import (
    change,
    completion,
    creation,
    dispatch,
    ending,
    expiry,
    follower,
    fulfillment,
    holding,
    order,
    pay,
    returning,
)
from commerce.areas.orders.content import draft, sample

DRAFT: Final = draft.DRAFT
"""The table of orders that cards are being asked to pay."""
MODULES: Final = (
    order,
    fulfillment,
    creation,
    change,
    pay,
    follower,
    dispatch,
    holding,
    ending,
    returning,
    completion,
    expiry,
    sample,
)
"""The modules of this area that declare something."""
