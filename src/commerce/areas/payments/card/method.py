"""Payment methods: cards that are kept for a customer, to be charged later."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from commerce.areas.customers import customer as customers
from commerce.areas.customers.customer import Customer
from commerce.areas.payments.card import details, token
from commerce.areas.payments.card.details import Card, CardGiven, Known
from commerce.engine.caller import Caller
from commerce.engine.outside.call import Heard
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx, kind_of, missing
from commerce.gateways.cards.port import Attach, Find, Verdict, why
from commerce.kernel.errors import ApiError
from commerce.kernel.ids import is_id
from commerce.kernel.lifecycle import Lifecycle
from commerce.resource import listing
from commerce.resource.example import Example
from commerce.resource.noun import HIDDEN, Noun, Time, noun
from commerce.resource.operation import Deleted, Params, operation, view
from commerce.resource.outside.pending import Declined, Pending, finish
from commerce.resource.parameter import Id, Metadata, kept
from commerce.resource.reading import Reading
from commerce.resource.ref import Ref

THEIRS = ("pm_", "tok_", "card_", "src_")
"""How a live processor's own names for cards begin."""


@noun(
    prefix="pm",
    rank=430,
    path="payment_methods",
    scope="customers:read",
    filters=("customer", "status"),
)
class SavedMethod(Noun, tag="payment_method", frozen=True, kw_only=True):
    """A card of a customer's, kept by the processor.

    Once deleted, it answers `{"id", "object", "deleted": true}` for good.
    """

    emits: ClassVar = ("payment_method.created", "payment_method.updated")
    lifecycle: ClassVar = Lifecycle(
        "payment_method",
        """
        processing  attach  attached
        processing  fail    failed
        attached    detach  detached
        failed      detach  detached
        """,
    )

    type: Literal["card"] = "card"
    """What it is."""
    customer: Ref[Customer]
    """Whose it is."""
    card: Card | None = None
    """What is known of the card; null until the processor has told of its own token."""
    status: Literal["processing", "attached", "failed", "detached"]
    """Whether the processor keeps it; `processing` until that is known."""
    failure_code: str | None = None
    """Why it was refused: a code of the errors."""
    unknown_since: Time | None = None
    """Since when the processor has not said what became of it; it is asked until it does."""
    deleted: Annotated[bool, HIDDEN] = False
    source: Annotated[str, HIDDEN]


TABLE = SavedMethod.__noun__.table


class CardMethodGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A card to keep."""

    type: Literal["card"]
    """`card`."""
    card: CardGiven
    """The card, in test mode; in live mode send the processor's own token instead."""


Named = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class CreatePaymentMethod(Params, frozen=True, kw_only=True):
    """A card to keep for a customer."""

    id: Id
    """The customer's id."""
    payment_method: CardMethodGiven | Named
    """The card, a token of one, a test method as `pm_card_visa`, or, in live mode, the processor's
    own token."""
    metadata: Metadata = {}
    """Pairs of your own."""


class ListPaymentMethods(Params, frozen=True, kw_only=True):
    """Whose, and which page."""

    id: Id
    """The customer's id."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=listing.LIMIT_MAX)] = listing.LIMIT_DEFAULT
    """How many at most, up to 100."""
    starting_after: Id | None = None
    """The id after which the page begins."""
    ending_before: Id | None = None
    """The id before which the page ends."""


class SavedMethodList(listing.ListOf, frozen=True, kw_only=True):
    """A page of payment methods, newest first."""

    data: list[SavedMethod]
    """The payment methods."""


class OnePaymentMethod(Params, frozen=True, kw_only=True):
    """Which payment method, and whose."""

    id: Id
    """The customer's id."""
    payment_method: Id
    """The payment method's id."""


def chosen(tx: Tx, given: CardMethodGiven | str, *, param: str) -> tuple[Card | None, str]:
    """What is known of a card that a request names, and what the processor calls it.

    A token is used up. Raises `parameter_invalid`, and what `details.read` and `token.use` raise.
    """
    if isinstance(given, CardMethodGiven):
        return details.read(tx, given.card, param=f"{param}.card")
    if is_id(given, "tok"):
        return token.use(tx, given, param=param)
    known: Known | None = details.of_method(tx, given)
    if known is not None:
        return known
    if tx.caller.livemode and given.startswith(THEIRS):
        return None, given
    # What was sent is not shown again: it may be a number.
    message = f"'{param}' must be a card, a token, or a test method such as 'pm_card_visa'."
    raise ApiError("parameter_invalid", message, param=param)


def saved(tx: Tx, id_: str, customer: str | None, *, param: str) -> SavedMethod:
    """A method that is kept, for the customer if one is named.

    Raises `resource_missing`, `parameter_invalid` for another customer's, and `state_invalid` for
    one that the processor does not keep.
    """
    method = tx.get(SavedMethod, id_, param=param)
    if method.deleted:
        raise missing(kind_of(SavedMethod), id_, param=param)
    if customer not in (None, method.customer):
        message = f"'{param}' is of the customer '{method.customer}', not of this one."
        raise ApiError("parameter_invalid", message, param=param)
    customers.require(tx, method.customer, param=param)
    if method.status != "attached":
        message = f"This payment_method is '{method.status}'; one can be charged once 'attached'."
        raise ApiError("state_invalid", message, param=param)
    return method


def need_saved(needs: Needs, caller: Caller, given: str) -> None:
    """The row that `saved` reads first."""
    if is_id(given, "pm"):
        needs.row(TABLE.key, (caller.account, caller.livemode, given))


def need_chosen(needs: Needs, caller: Caller, given: CardMethodGiven | str) -> None:
    """The row that `chosen` locks."""
    if isinstance(given, str) and is_id(given, "tok"):
        token.need(needs, caller, given)


def _need_create(needs: Needs, caller: Caller, params: CreatePaymentMethod) -> None:
    customers.need(needs, caller, params.id, lock=True)
    need_chosen(needs, caller, params.payment_method)


async def example(example: Example) -> dict[str, object]:
    """A test card of a new customer."""
    customer = await example.call("POST /customers", name="Jenny Rosen")
    return {"id": customer["id"], "payment_method": "pm_card_visa"}


@operation(
    SavedMethod,
    "POST /customers/{id}/payment_methods",
    scope="customers:write",
    params=CreatePaymentMethod,
    needs=_need_create,
    example=example,
    statuses=(201,),
)
def create(tx: Tx, params: CreatePaymentMethod) -> Pending:
    """Keep a card for a customer. A token is used up by it.

    The processor is asked whether it keeps the card. One that it refuses is kept as `failed`, and
    answers 402. Where the processor does not answer in time it stays `processing`.
    """
    tx.lock(Customer, params.id)
    customer = customers.require(tx, params.id, param="id")
    card, source = chosen(tx, params.payment_method, param="payment_method")
    method = tx.add(
        SavedMethod(
            id=tx.new_id("pm"),
            livemode=tx.caller.livemode,
            created=tx.now,
            metadata=kept(params.metadata),
            customer=customer.ref,
            card=card,
            status="processing",
            source=source,
        )
    )
    whose: dict[str, Any] = {
        "account": tx.caller.account,
        "livemode": method.livemode,
        "key": method.id,
    }
    call = Attach(source=source, **whose)
    return Pending(
        method, call, Find(asked="attach", since=tx.now, reference=source, **whose), settle
    )


@finish("payment_method.attach", SavedMethod, inquiry=Find)
def settle(tx: Tx, method: SavedMethod, heard: Verdict | Heard) -> SavedMethod | Declined:
    """What the processor said of a card that is to be kept."""
    refused = why(heard)
    if refused is not None:
        failed = tx.advance(method, "fail", failure_code=refused.code, unknown_since=None)
        return Declined(failed, refused.code, payment_method=failed.id, **refused.details)
    assert isinstance(heard, Verdict)
    card = method.card if heard.card is None else details.of_facts(tx, heard.card)
    return tx.advance(method, "attach", card=card, source=heard.reference, unknown_since=None)


async def list_example(example: Example) -> dict[str, object]:
    """The card of a new customer."""
    customer = await example.call("POST /customers", name="Jenny Rosen")
    route = "POST /customers/{id}/payment_methods"
    await example.call(route, id=customer["id"], payment_method="pm_card_visa")
    return {"id": customer["id"]}


@view(
    SavedMethodList,
    "GET /customers/{id}/payment_methods",
    scope="customers:read",
    params=ListPaymentMethods,
    example=list_example,
)
async def list_of_customer(reading: Reading, params: ListPaymentMethods) -> SavedMethodList:
    """List the payment methods of a customer, newest first."""
    customer = await reading.get(Customer, params.id)
    cursors = {"starting_after": params.starting_after, "ending_before": params.ending_before}
    query = {name: [value] for name, value in cursors.items() if value is not None}
    query |= {"customer": [customer.id], "limit": [str(params.limit)]}
    asked = listing.parse(SavedMethod.__noun__, query)
    url = f"/v1/customers/{customer.id}/payment_methods"
    found = await listing.list_things(reading, SavedMethod, asked, url)
    return SavedMethodList(url=found.url, has_more=found.has_more, data=found.data)


def _need_one(needs: Needs, caller: Caller, params: OnePaymentMethod) -> None:
    customers.need(needs, caller, params.id, lock=True)
    needs.row(TABLE.key, (caller.account, caller.livemode, params.payment_method), lock=True)


async def delete_example(example: Example) -> dict[str, object]:
    """The card of a new customer."""
    whose = await list_example(example)
    page = await example.call("GET /customers/{id}/payment_methods", **whose)
    return {**whose, "payment_method": page["data"][0]["id"]}


@operation(
    Deleted,
    "DELETE /customers/{id}/payment_methods/{payment_method}",
    scope="customers:write",
    params=OnePaymentMethod,
    needs=_need_one,
    example=delete_example,
)
def delete(tx: Tx, params: OnePaymentMethod) -> SavedMethod:
    """Delete a payment method: it is charged no more. What was paid with it stays.

    One that is still `processing` cannot be.
    """
    tx.lock(Customer, params.id)
    method = tx.lock(SavedMethod, params.payment_method, param="payment_method")
    if method.deleted or method.customer != params.id:
        raise missing(kind_of(SavedMethod), params.payment_method, param="payment_method")
    return tx.advance(method, "detach", deleted=True)
