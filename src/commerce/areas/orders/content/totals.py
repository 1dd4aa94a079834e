"""Totals: what an order comes to, exactly; all amounts are in the currency's smallest unit.

Discounts come off one after the other, each of what those before it have left: first those of
single lines, then those of the order. Each, and the tax of each rate, is computed on its whole
basis, rounded once, half to even, and then parted among the lines by what is left of them, so that
the lines sum to the totals whatever the rates and the digits of the currency.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from commerce.kernel.rounding import half_even, split

WHOLE: Final = 1_000_000
"""Percentages are in millionths of this whole."""


class Cut(NamedTuple):
    """What comes off: a part in millionths, or an amount."""

    part: int | None
    amount: int = 0

    def off(self, basis: int) -> int:
        """How much comes off so much: never more than there is."""
        return min(self.amount, basis) if self.part is None else half_even(basis * self.part, WHOLE)


class Line(NamedTuple):
    """What is known of a line."""

    price: int
    """The price of all its pieces."""
    cut: Cut | None = None
    """What comes off it alone."""
    rate: int | None = None
    """Its rate of tax in millionths; None for none of its own."""


class LineTotal(NamedTuple):
    """What a line comes to."""

    price: int
    own_cut: int
    """What its own discount took off."""
    cut: int
    """What came off in all."""
    tax: int

    @property
    def total(self) -> int:
        """The price, less what comes off, with the tax."""
        return self.price - self.cut + self.tax


class Totals(NamedTuple):
    """What an order comes to."""

    lines: list[LineTotal]
    cuts: list[int]
    """What each discount of the whole order took off."""
    shipping: int

    @property
    def subtotal(self) -> int:
        """The price of all lines."""
        return sum(line.price for line in self.lines)

    @property
    def cut(self) -> int:
        """What comes off."""
        return sum(line.cut for line in self.lines)

    @property
    def tax(self) -> int:
        """The tax."""
        return sum(line.tax for line in self.lines)

    @property
    def total(self) -> int:
        """What it all comes to."""
        return sum(line.total for line in self.lines) + self.shipping


def add_up(
    lines: Sequence[Line], cuts: Sequence[Cut] = (), *, tax: int | None = None, shipping: int = 0
) -> Totals:
    """What lines come to. `tax` is that of the whole order, where it follows from no rates."""
    own = [0 if line.cut is None else line.cut.off(line.price) for line in lines]
    nets = [line.price - cut for line, cut in zip(lines, own, strict=True)]
    taken: list[int] = []
    for cut in cuts:
        basis = sum(nets)
        off = cut.off(basis)
        taken.append(off)
        nets = [net - part for net, part in zip(nets, _parted(off, nets), strict=True)]
    taxes = _taxes(lines, nets) if tax is None else _parted(tax, nets)
    found = [
        LineTotal(line.price, own_cut, line.price - net, tax_)
        for line, own_cut, net, tax_ in zip(lines, own, nets, taxes, strict=True)
    ]
    return Totals(found, taken, shipping)


def _taxes(lines: Sequence[Line], nets: Sequence[int]) -> list[int]:
    """The tax of each line: that of one rate is computed on all lines that have it together."""
    taxes = [0] * len(lines)
    for rate in dict.fromkeys(line.rate for line in lines):
        if rate:
            at = [number for number, line in enumerate(lines) if line.rate == rate]
            basis = [nets[number] for number in at]
            whole = half_even(sum(basis) * rate, WHOLE)
            for number, part in zip(at, _parted(whole, basis), strict=True):
                taxes[number] = part
    return taxes


def _parted(amount: int, weights: Sequence[int]) -> list[int]:
    """An amount among lines by their weights, or evenly where none has any."""
    return split(amount, weights if any(weights) else [1] * len(weights))


def share(total: int, quantity: int, before: int, more: int) -> int:
    """What `more` pieces of a line are worth, when so many were given back before.

    However they are given back in pieces, all of them come to the total.
    """
    return half_even(total * (before + more), quantity) - half_even(total * before, quantity)
