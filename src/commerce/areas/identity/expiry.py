"""Keys whose time is over: their status and an event say so, soon after they open nothing more."""

from __future__ import annotations

from commerce.areas.identity.api_key import EXPIRE, TABLE, ApiKey, ExpireKey
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.jobs.queue import task


def _need(needs: Needs, caller: Caller, params: ExpireKey) -> None:
    needs.row(TABLE.key, (caller.account, caller.livemode, params.id), lock=True)


@task(EXPIRE, params=ExpireKey, needs=_need)
def expire(tx: Tx, params: ExpireKey) -> None:
    """Write down that a key has expired; one that was revoked before stays revoked.

    A key that was rolled may have two such jobs: the earlier one does it.
    """
    key = tx.lock(ApiKey, params.id)
    if key.at(tx.now).status != key.status:
        tx.change(key, event="api_key.expired", status="expired")
