"""Where redeemed dollars go, and when: bank details, checked and masked, and banking days."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Annotated, Literal

import msgspec
from holidays import financial_holidays
from stdnum import bic, iban
from stdnum.us import rtn

from commerce.kernel.clock import day
from commerce.kernel.errors import ApiError
from commerce.resource.noun import Part

DestinationType = Literal["bank_wire", "ach", "swift", "sepa"]
SHOWN = 4
Detail = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class Destination(Part, frozen=True, kw_only=True):
    """A bank account, its numbers masked."""

    type: DestinationType
    """How the money is sent."""
    account_number: str | None = None
    """The last four characters of the account number."""
    routing_number: str | None = None
    """The last four digits of the ABA routing number."""
    swift_code: str | None = None
    """The bank's BIC."""
    iban: str | None = None
    """The last four characters of the IBAN."""
    bank_name: str | None = None
    """The bank."""
    beneficiary_name: str | None = None
    """Whose account it is."""


class DestinationDetails(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bank account to send money to."""

    type: DestinationType
    """How the money is to be sent."""
    account_number: Detail | None = None
    """The account number; for `bank_wire` and `ach` required."""
    routing_number: Detail | None = None
    """The bank's ABA routing number; for `bank_wire` and `ach` required."""
    swift_code: Detail | None = None
    """The bank's BIC; for `swift` required, beside an account number or an IBAN."""
    iban: Detail | None = None
    """The IBAN; for `sepa` required."""
    bank_name: Detail | None = None
    """The bank."""
    beneficiary_name: Detail | None = None
    """Whose account it is."""


_REQUIRED = {
    "bank_wire": ("account_number", "routing_number"),
    "ach": ("account_number", "routing_number"),
    "swift": ("swift_code",),
    "sepa": ("iban",),
}


def checked(details: DestinationDetails) -> Destination:
    """Check bank details and mask them.

    An ABA routing number has a check digit (ANSI X9.100), an IBAN two (ISO 13616), a BIC a
    form (ISO 9362); account numbers have no form that all banks keep, but are in ASCII. Raises
    `parameter_missing`, `parameter_invalid`.
    """
    for name in _REQUIRED[details.type]:
        if getattr(details, name) is None:
            message = f"'destination.{name}' is required for {details.type}."
            raise ApiError("parameter_missing", message, param=f"destination.{name}")
    if details.type == "swift" and details.account_number is None and details.iban is None:
        message = "'destination.account_number' or 'destination.iban' is required for swift."
        raise ApiError("parameter_missing", message, param="destination.account_number")
    rules = (
        (
            "account_number",
            _may_be_account,
            "an account number of letters and digits in ASCII",
        ),
        ("routing_number", rtn.is_valid, "an ABA routing number with a valid check digit"),
        ("swift_code", bic.is_valid, "a BIC"),
        ("iban", iban.is_valid, "an IBAN with valid check digits"),
    )
    for name, is_valid, what in rules:
        value = getattr(details, name)
        if value is not None and not (value.isascii() and is_valid(value)):
            message = f"'destination.{name}' is not {what}."
            raise ApiError("parameter_invalid", message, param=f"destination.{name}")
    return Destination(
        type=details.type,
        account_number=_masked(details.account_number),
        routing_number=_masked(details.routing_number),
        swift_code=details.swift_code,
        iban=_masked(details.iban),
        bank_name=details.bank_name,
        beneficiary_name=details.beneficiary_name,
    )


def _may_be_account(number: str) -> bool:
    """Whether a bank can have an account of this number; the caller sees that it is ASCII."""
    return number.isprintable() and any(map(str.isalnum, number))


def _masked(number: str | None) -> str | None:
    """The last four letters and digits; none of a number that has no more."""
    if number is None:
        return None
    plain = "".join(filter(str.isalnum, number))
    return f"****{plain[-SHOWN:]}" if len(plain) > SHOWN else "****"


BANKING_DAYS_AFTER = 1
"""T+1."""


# The Federal Reserve's own calendar, not the federal one: a holiday on a Saturday closes
# government offices on the Friday before, but not the banks.
_CALENDAR = financial_holidays("FED")


@lru_cache(1024)
def estimated(today: str, after: int = BANKING_DAYS_AFTER) -> str:
    """The banking day so many after a day, both `YYYY-MM-DD`; holidays by `holidays`' tables."""
    arrival = _CALENDAR.get_nth_working_day(date.fromisoformat(today), after)
    return arrival.isoformat()


estimated("2026-01-02")  # Loads the calendar now, rather than while money waits.


def estimated_arrival(now: int) -> str:
    """When dollars sent now are expected, `YYYY-MM-DD`."""
    return estimated(day(now))
