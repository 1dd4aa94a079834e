"""Customers: who buys, how they are reached, and how they are forgotten."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import UNSET, UnsetType

from commerce.areas.customers import address as addresses
from commerce.areas.customers import tax_id as tax_numbers
from commerce.areas.customers.address import Address, Phone, Shipping
from commerce.areas.customers.tax_id import TaxId, TaxIds
from commerce.areas.identity.account import Account
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx, kind_of, missing
from commerce.kernel import address as wallets
from commerce.kernel.wording import MUST
from commerce.resource.example import Example, fixture
from commerce.resource.noun import HIDDEN, Noun, noun
from commerce.resource.operation import Deleted, Params, operation
from commerce.resource.parameter import Id, Metadata, changed, kept
from commerce.resource.ref import Wallet

FIXTURE: Final = "cust_test_123"
"""The customer that every test account begins with."""
Email = Annotated[
    str,
    msgspec.Meta(
        max_length=254,  # RFC 5321, 4.5.3.1.3: a path of 256 octets, its angle brackets among them
        pattern=r"^([^\s@]+@[^\s@]+\.[^\s@.]+)?$(?!\n)",
        extra={MUST: "an email address of at most 254 characters"},
    ),
]
FullName = Annotated[str, msgspec.Meta(max_length=256)]


@noun(
    prefix="cust",
    rank=200,
    path="customers",
    scope="customers:read",
    filters=("email", "name", "phone", "wallet_address"),
)
class Customer(Noun, tag="customer", frozen=True, kw_only=True):
    """Somebody who buys from you.

    Once deleted, it answers `{"id", "object", "deleted": true}` for good, and so do its events:
    what was known of the person is gone. What was paid and ordered stays.
    """

    emits: ClassVar = ("customer.created", "customer.updated", "customer.deleted")

    email: str | None = None
    """The email address, as it was written. Several customers may have the same."""
    name: str | None = None
    """The full name, or the name of the business."""
    phone: str | None = None
    """The telephone number, as it was written."""
    address: Address | None = None
    """Where they live, or where bills go to."""
    shipping: Shipping | None = None
    """Where goods go to, and to whom."""
    tax_ids: list[TaxId] = []
    """Their tax numbers."""
    wallet_address: Wallet | None = None
    """The wallet that they pay from, or are paid into."""
    deleted: Annotated[bool, HIDDEN] = False
    """Whether the customer was deleted."""


TABLE = Customer.__noun__.table


class CreateCustomer(Params, frozen=True, kw_only=True):
    """A new customer; all of it may be left out."""

    email: Email | None = None
    """The email address."""
    name: FullName | None = None
    """The full name, or the name of the business."""
    phone: Phone | None = None
    """The telephone number."""
    address: Address | None = None
    """Where they live, or where bills go to."""
    shipping: Shipping | None = None
    """Where goods go to, and to whom."""
    tax_ids: TaxIds = []
    """Up to 5 tax numbers, each checked by the rules of its country."""
    wallet_address: str | None = None
    """A wallet of theirs."""
    metadata: Metadata = {}
    """Pairs of your own."""


class UpdateCustomer(Params, frozen=True, kw_only=True):
    """What is to change of a customer: what is left out stays, null takes away.

    An empty text takes away as well, since forms have no null.
    """

    id: Id
    """The customer's id."""
    email: Email | UnsetType | None = UNSET
    """The email address."""
    name: FullName | UnsetType | None = UNSET
    """The full name, or the name of the business."""
    phone: Phone | UnsetType | None = UNSET
    """The telephone number."""
    address: Address | UnsetType | None = UNSET
    """Where they live, or where bills go to: the whole of it."""
    shipping: Shipping | UnsetType | None = UNSET
    """Where goods go to, and to whom: the whole of it."""
    tax_ids: TaxIds | UnsetType | None = UNSET
    """All of their tax numbers, in place of those there were."""
    wallet_address: str | UnsetType | None = UNSET
    """A wallet of theirs."""
    metadata: Metadata = {}
    """Pairs to set; an empty string or null removes a pair."""


class OneCustomer(Params, frozen=True, kw_only=True):
    """Which customer."""

    id: Id
    """The customer's id."""


def checked(
    params: CreateCustomer | UpdateCustomer, *, livemode: bool, within: str = ""
) -> dict[str, Any]:
    """The fields that a request names, as they are kept.

    `within` is how the names of parameters begin, where they stand within another. Raises
    `parameter_missing`, `parameter_invalid`, `invalid_recipient`.
    """
    found: dict[str, Any] = {
        name: value or None
        for name in ("email", "name", "phone", "address", "shipping", "tax_ids", "wallet_address")
        if (value := getattr(params, name)) is not UNSET
    }
    if found.get("address"):
        found["address"] = addresses.checked(found["address"], param=f"{within}address")
    if found.get("shipping"):
        where = f"{within}shipping"
        found["shipping"] = addresses.checked_shipping(found["shipping"], param=where)
    if "tax_ids" in found:
        numbered = enumerate(found["tax_ids"] or ())
        where = f"{within}tax_ids"
        found["tax_ids"] = [tax_numbers.checked(e, param=f"{where}[{at}]") for at, e in numbered]
    if found.get("wallet_address"):
        text, param = found["wallet_address"], f"{within}wallet_address"
        found["wallet_address"] = wallets.check(text, livemode=livemode, param=param)
    return found


def need(needs: Needs, caller: Caller, id_: str | None, *, lock: bool = False) -> None:
    """The row that `require` reads, if a customer is named."""
    if id_ is not None:
        needs.row(TABLE.key, (caller.account, caller.livemode, id_), lock=lock)


def require(tx: Tx, id_: str, *, param: str = "customer") -> Customer:
    """A customer that is there, for what names one. Raises `resource_missing`."""
    return _living(tx.get(Customer, id_, param=param), param=param)


def _living(customer: Customer, *, param: str = "id") -> Customer:
    """A customer that was not deleted. Raises `resource_missing`."""
    if customer.deleted:
        raise missing(kind_of(Customer), customer.id, param=param)
    return customer


async def example(example: Example) -> dict[str, object]:
    """A customer with an address to bill."""
    return {
        "email": f"{example.name()}@example.com",
        "name": "Jenny Rosen",
        "address": {
            "line1": "510 Townsend Street",
            "city": "San Francisco",
            "state": "CA",
            "postal_code": "94103",
            "country": "US",
        },
        "tax_ids": [{"type": "us_ein", "value": "12-3456789"}],
        "wallet_address": example.other_wallet,
        "metadata": {"crm": example.name()},
    }


async def one_example(example: Example) -> dict[str, object]:
    """A customer that was made for this."""
    customer = await example.call("POST /customers", name="Jenny Rosen")
    return {"id": customer["id"]}


async def update_example(example: Example) -> dict[str, object]:
    """A telephone number, and where to send things."""
    address = {"line1": "1 Main Street", "city": "Leeds", "postal_code": "LS1 4AP", "country": "GB"}
    shipping = {"name": "Jenny Rosen", "address": address}
    return {**await one_example(example), "phone": "+44 113 496 0000", "shipping": shipping}


@operation(
    Customer,
    "POST /customers",
    scope="customers:write",
    params=CreateCustomer,
    example=example,
)
def create(tx: Tx, params: CreateCustomer) -> Customer:
    """Keep a customer.

    Two customers may have the same email address: look one up by `email` to know it again.
    """
    return keep(tx, params)


def keep(tx: Tx, params: CreateCustomer, *, within: str = "") -> Customer:
    """A new customer, for a verb that makes one within another parameter, `customer.`.

    Raises what `checked` raises.
    """
    livemode = tx.caller.livemode
    return tx.add(
        Customer(
            id=tx.new_id("cust"),
            livemode=livemode,
            created=tx.now,
            metadata=kept(params.metadata),
            **checked(params, livemode=livemode, within=within),
        )
    )


def _need_one(needs: Needs, caller: Caller, params: UpdateCustomer | OneCustomer) -> None:
    need(needs, caller, params.id, lock=True)


@operation(
    Customer,
    "PATCH /customers/{id}",
    scope="customers:write",
    params=UpdateCustomer,
    needs=_need_one,
    example=update_example,
)
def update(tx: Tx, params: UpdateCustomer) -> Customer:
    """Change a customer. A deleted one is missing."""
    customer = _living(tx.lock(Customer, params.id))
    fields = checked(params, livemode=tx.caller.livemode)
    if params.metadata:
        fields["metadata"] = changed(customer.metadata, params.metadata)
    return tx.change(customer, **fields) if fields else customer


_NOTHING: dict[str, Any] = {
    "metadata": {},
    **dict.fromkeys(("email", "name", "phone", "address", "shipping", "wallet_address")),
    "tax_ids": [],
}
"""What a deleted customer has left: a CHECK of the table says so too."""


@operation(
    Deleted,
    "DELETE /customers/{id}",
    scope="customers:write",
    params=OneCustomer,
    needs=_need_one,
    example=one_example,
)
def delete(tx: Tx, params: OneCustomer) -> Customer:
    """Delete a customer: for good, with all that was known of the person.

    The customer's events are left with its id alone, and a retry of a request that made or changed
    it is answered with that. What was paid and ordered stays, and goes on naming the id.
    """
    customer = _living(tx.lock(Customer, params.id))
    gone = tx.change(customer, event="customer.deleted", deleted=True, **_NOTHING)
    tx.redact(gone)
    return gone


@fixture
def plant(tx: Tx, account: Account) -> None:
    """The customer that examples on the web and in tests name."""
    address = Address(
        line1="510 Townsend Street",
        city="San Francisco",
        state="CA",
        postal_code="94103",
        country="US",
    )
    customer = Customer(
        id=FIXTURE,
        livemode=False,
        created=tx.now,
        email="jenny.rosen@example.com",
        name="Jenny Rosen",
        phone="+1 415 555 0100",
        address=address,
        shipping=Shipping(name="Jenny Rosen", address=address),
    )
    tx.add(customer, account=account.id)
