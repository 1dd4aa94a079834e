"""The one table of errors: every code a response may carry, and the exception that carries it."""

from collections.abc import Iterator, Mapping

import msgspec

# Members of the error object that are never a detail's to set.
_FIXED = frozenset({"type", "doc_url", "request_id"})


class ErrorRow(msgspec.Struct, frozen=True):
    """One row of the table.

    `remembered` says whether the answer is kept under an idempotency key: what a verb decided
    against state is, what a repaired request or a later try may change is not.
    `also` holds the other statuses the same code may answer with.
    """

    code: str
    type: str
    status: int
    remembered: bool
    meaning: str
    also: tuple[int, ...] = ()


def _rows(
    status: int,
    type_: str,
    meanings: Mapping[str, str],
    *,
    remembered: bool = False,
    also: tuple[int, ...] = (),
) -> Iterator[ErrorRow]:
    for code, meaning in meanings.items():
        yield ErrorRow(code, type_, status, remembered, meaning, also)


ROWS: tuple[ErrorRow, ...] = (
    *_rows(
        400,
        "invalid_request_error",
        {
            "amount_invalid": "The amount is not a plain positive decimal of at most 10^12 major"
            " units; send it as a decimal string with digits on both sides of the point.",
            "amount_mismatch": "Two amounts in the request that must agree do not; send the same"
            " amount in both places.",
            "amount_precision": "The amount has more fraction digits than its currency; shorten"
            " it to the digits the currency has.",
            "api_version_unknown": "The StateSet-Version header names no version of this API;"
            " leave it out or send a published one.",
            "currency_unsupported": "The currency is not one this operation takes; send ssusd or"
            " a lower-case ISO 4217 code that has a minor unit.",
            "cursor_invalid": "The cursor names no object of this list, or both cursors were"
            " sent; send the id of an object of the list in one of them.",
            "idempotency_key_invalid": "The idempotency key is not 1 to 255 printable ASCII"
            " characters, or the header and the body name two; send a random one, such as a UUID.",
            "incorrect_number": "The card number is not a valid one; check it and send it again.",
            "invalid_recipient": "The address is not a stateset address with a valid checksum;"
            " copy it again from its owner.",
            "json_invalid": "The body is not valid JSON (duplicate keys, trailing text, invalid"
            " UTF-8 and nesting deeper than 32 included); mend the body.",
            "model_unavailable": "The agent's model has no provider configured here; configure"
            " one, or use test:scripted in test mode.",
            "no_rates": "No carrier serves this shipment; the message says why for each. Change"
            " the parcels, the addresses or the services.",
            "parameter_invalid": "A parameter's value is not allowed; `param` names it and the"
            " message says what is.",
            "parameter_missing": "A required parameter was not sent; `param` names it.",
            "parameter_unknown": "A parameter is not known here; the message names the nearest"
            " known one, or all there are.",
        },
    ),
    *_rows(
        400,
        "invalid_request_error",
        {
            "collateral_insufficient": "The collateral is worth too little for the amount; add"
            " collateral or borrow less.",
            "out_of_stock": "Less is in stock than was asked for; `param` names the item. Order"
            " less, or wait for stock.",
            "state_invalid": "The object's state forbids this; the message names its state and"
            " the one it would have to enter. Read the object again.",
            "token_used": "The token was used before, and a token is good for one use; make"
            " another.",
        },
        remembered=True,
    ),
    *_rows(
        401,
        "authentication_error",
        {
            "api_key_expired": "The API key's time is over; use a newer one.",
            "api_key_invalid": "The API key is malformed or unknown; check that it was copied"
            " whole.",
            "api_key_missing": "No API key was sent; send Authorization: Bearer and a key.",
            "api_key_revoked": "The API key was revoked; use another.",
            "livemode_mismatch": "The key's mode is not served here; use a test key on the"
            " testnet and a live key on production.",
        },
    ),
    *_rows(
        402,
        "card_error",
        {
            "authentication_required": "The cardholder has to authenticate; confirm the payment"
            " with them present.",
            "card_declined": "The card was declined; `decline_code` says why. Ask for another"
            " card.",
            "expired_card": "The card has expired; ask for another.",
            "incorrect_cvc": "The card's security code is wrong; ask for it again.",
            "processing_error": "The processor failed on this charge and no money moved; try"
            " again with a new idempotency key.",
        },
        remembered=True,
    ),
    *_rows(
        402,
        "ledger_error",
        {
            "insufficient_funds": "The balance is too small for the amount and its fee; the"
            " message says what is available.",
            "insufficient_liquidity": "The pool has less to lend than was asked for; ask for"
            " less, or later.",
            "insufficient_reserve_verification": "The verified deposit has less left than the"
            " amount; verify another deposit first.",
            "limit_exceeded": "The amount is above a limit of the account, the key or the agent;"
            " the message says which and what is left.",
        },
        remembered=True,
    ),
    *_rows(
        403,
        "permission_error",
        {
            "account_invalid": "X-Account-Id names no account connected to the key's own; check"
            " the id.",
            "address_not_owned": "The address belongs to another account; send from one of your"
            " own.",
            "https_required": "A live key came over plain HTTP; use HTTPS, and roll the key.",
            "insufficient_permissions": "The key lacks a scope; the message names it. Use a key"
            " that has it.",
            "key_type_not_allowed": "A public key may not do this; call it from your server with"
            " a secret key.",
            "raw_card_not_allowed": "Card numbers are refused in live mode; send the processor's"
            " own token.",
            "secret_key_in_browser": "A live secret key was sent by a browser; use a public key"
            " there, and roll the secret one.",
            "unauthorized_issuer": "The account lacks the capability stablecoin_issuance; the"
            " operator grants it.",
        },
    ),
    *_rows(
        403,
        "permission_error",
        {
            # The run in which it happened is kept, so its answer is kept with it.
            "agent_policy_violation": "The agent's policy forbids this; the message names the"
            " rule. Change the policy or the task.",
        },
        remembered=True,
    ),
    *_rows(
        403,
        "compliance_error",
        {
            "compliance_check_failed": "A compliance check refused this; nothing moved. Do not"
            " try again unchanged.",
            "jurisdiction_blocked": "A country involved is not served; nothing moved.",
            "sanctioned_party": "A party or address is blocked or on a sanctions list; nothing"
            " moved.",
        },
        remembered=True,
    ),
    *_rows(
        404,
        "invalid_request_error",
        {
            "resource_missing": "No such object in this account and mode; check the id and the"
            " key's mode.",
            "route_missing": "No such path; check it against the reference.",
        },
    ),
    *_rows(
        405,
        "invalid_request_error",
        {"method_not_allowed": "The path does not take this method; the Allow header lists its."},
    ),
    *_rows(
        409,
        "idempotency_error",
        {
            "idempotency_key_in_use": "The first request with this key still runs; try again"
            " after Retry-After seconds.",
        },
    ),
    *_rows(
        409,
        "invalid_request_error",
        {
            "duplicate_reference": "The reference was used before with other terms; use a new"
            " one, or the first terms.",
        },
        remembered=True,
    ),
    *_rows(
        409,
        "invalid_request_error",
        {
            "version_conflict": "The object changed since it was read (409 for a body version,"
            " 412 for If-Match); read it again and repeat the change.",
        },
        remembered=True,
        also=(412,),
    ),
    *_rows(
        413,
        "invalid_request_error",
        {
            "body_too_large": "The body is larger than the server takes, 1 MiB unless its operator"
            " set COMMERCE_BODY_SIZE_MAX; send less at a time."
        },
    ),
    *_rows(
        415,
        "invalid_request_error",
        {
            "content_type_unsupported": "The body's type or charset is not taken here; send"
            " application/json or application/x-www-form-urlencoded, in UTF-8.",
        },
    ),
    *_rows(
        422,
        "idempotency_error",
        {
            "idempotency_key_reused": "The key was used with another method, path or body, or with"
            " another `expand[]`; use a new key for a new request.",
        },
    ),
    *_rows(
        429,
        "rate_limit_error",
        {
            "daily_limit_exceeded": "The plan's requests of this UTC day are used up; try again"
            " after Retry-After seconds.",
            "rate_limit_exceeded": "Requests come faster than the plan allows; try again after"
            " Retry-After seconds.",
        },
    ),
    *_rows(
        500,
        "api_error",
        {
            "internal_error": "Something here failed; the request id finds it in the log."
            " Try again with the same idempotency key.",
        },
    ),
    *_rows(
        503,
        "api_error",
        {
            "unavailable": "The server cannot answer now; try again after Retry-After seconds"
            " with the same idempotency key.",
        },
    ),
)

ERRORS: Mapping[str, ErrorRow] = {row.code: row for row in ROWS}


class ApiError(Exception):
    """A refusal that leaves as an error response; its code is a row of `ERRORS`.

    `details` become further members of the error object, such as `decline_code` or `payment`.
    Raises KeyError for a code the table lacks and ValueError for a status its row does not
    allow or a detail that would replace a fixed member: programming errors.
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        status: int | None = None,
        **details: object,
    ) -> None:
        """Take the code's row; `message` defaults to the row's meaning."""
        row = ERRORS[code]
        if status is not None and status != row.status and status not in row.also:
            raise ValueError(f"{code} never answers {status}")
        if not _FIXED.isdisjoint(details):
            raise ValueError(f"{code}: a detail may not replace one of {sorted(_FIXED)}")
        self.code = code
        self.row = row
        self.status = row.status if status is None else status
        self.type = row.type
        self.message = row.meaning if message is None else message
        self.param = param
        self.headers: Mapping[str, str] = {} if headers is None else headers
        self.details = details
        super().__init__(f"{code}: {self.message}")

    def body(self, request_id: str, docs_url: str) -> dict[str, object]:
        """Give the JSON body of the response."""
        error: dict[str, object] = {
            "type": self.type,
            "code": self.code,
            "message": self.message,
            "param": self.param,
            "doc_url": f"{docs_url}/docs/errors#{self.code}",
            "request_id": request_id,
            **self.details,
        }
        return {"error": error}
