"""The respondent: the part of a verb's view that answers a request whose first commit is past."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from commerce.engine.answers import ANSWER, RUNNING, Answer, Remembered, kept

if TYPE_CHECKING:
    from commerce.engine.caller import Caller
    from commerce.engine.overlay import Overlay
    from commerce.engine.tx import Means
    from commerce.kernel.errors import ApiError
    from commerce.store.table import Row


class Respondent:
    """Words answers that a verb does not simply return."""

    __slots__ = ()

    _overlay: Overlay
    _means: Means
    caller: Caller
    now: int

    def answer_later(self, key: str, answer: Answer, *, begun: str) -> None:
        """Remember the answer of a second commit under the key of the first one's request.

        `begun` is the object that the first one has left there: the answer may be of another.
        Nothing is done where the key is no more, or is another request's by now, or was answered.
        """
        owner = (self.caller.account, self.caller.livemode, key)
        row: Row | None = self._overlay.read(ANSWER.key, owner, lock=True)
        if row is None:
            return
        before = Remembered.of(row)
        if before.status == RUNNING and before.object_id == begun:
            created = max(self.now, before.created)
            after = kept(owner, before.fingerprint, answer, self._means.master_key, created=created)
            self._overlay.put(ANSWER.key, owner, after)

    def refused(self, error: ApiError, object_id: str) -> Answer:
        """The answer that an error is which tells what became of an object, and undoes nothing."""
        body = error.body(self.caller.request_id or "", self._means.docs_url)
        return Answer(error.status, msgspec.json.encode(body), object_id)
