"""The currencies and how many fraction digits each has: ssUSD, and ISO 4217's from its table.

In the ledger, stock is a currency as well: `unit:<product id>`, whose smallest unit is one piece.
"""

from typing import Final

from iso4217 import Currency

from commerce.kernel.errors import ApiError

SSUSD: Final = "ssusd"

# Codes without a minor unit (XAU, XDR, XXX and the like) are no one's to pay in: left out.
DIGITS: Final[dict[str, int]] = {SSUSD: 6} | {
    row.code.lower(): row.exponent for row in Currency if row.exponent is not None
}
UNIT: Final[dict[str, int]] = {code: 10**places for code, places in DIGITS.items()}
_STOCK: Final = "unit:"


def of_stock(product: str) -> str:
    """Give the currency in which a product's stock is counted; nobody pays in it."""
    return f"{_STOCK}{product}"


def is_stock(code: str) -> bool:
    """Say whether a currency counts pieces of a product."""
    return code.startswith(_STOCK)


def digits(code: str) -> int:
    """Give the fraction digits of a currency by its lower-case code.

    Raises currency_unsupported.
    """
    try:
        return DIGITS[code]
    except KeyError:
        message = f"The currency '{code[:16]}' is not supported; codes are lower-case."
        raise ApiError("currency_unsupported", message, param="currency") from None
