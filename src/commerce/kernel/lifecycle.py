"""Lifecycles: which verb takes an object from which state to which, as a table."""

from commerce.kernel.errors import ApiError


class Lifecycle:
    """The states of a kind of object and the verbs between them.

    Read from lines of `state verb state`, with comments after `#`; the first state is the
    initial one. Where it depends on the object in which state a verb leaves it, the line names
    each with `|` between: `paid fulfill partially_fulfilled|fulfilled`. Raises ValueError at
    construction for a line of another shape, a name that is no identifier, two lines for one
    state and verb, or a state that cannot be reached.
    """

    def __init__(self, name: str, table: str) -> None:
        """Read the table of the object kind called `name`."""
        self.name = name
        self._moves: dict[str, dict[str, tuple[str, ...]]] = {}
        self._targets: dict[str, dict[str, None]] = {}
        _require_identifier(name, name)
        for line in table.splitlines():
            words = line.partition("#")[0].split()
            if words:
                self._add(words)
        if not self._moves:
            raise ValueError(f"{name}: the table is empty")
        self.states = tuple(self._moves)
        self.initial = self.states[0]
        self.terminal = tuple(state for state, verbs in self._moves.items() if not verbs)
        self._require_reachable()

    def move(self, state: str, verb: str, to: str | None = None) -> str:
        """Give the state that the verb leads to. Raises state_invalid, naming both states.

        `to` chooses where it leads to several, which are the caller's to tell apart; the first of
        them by default. Raises KeyError for a state or verb the table lacks, ValueError for a
        `to` that the line lacks: programming errors.
        """
        targets = self._moves[state].get(verb)
        if targets is None:
            raise self._refusal(state, verb)
        if to is None:
            return targets[0]
        if to not in targets:
            raise ValueError(f"{self.name}: '{state} {verb}' does not lead to '{to}'")
        return to

    def targets(self, state: str, verb: str) -> tuple[str, ...]:
        """Give every state that a verb may lead to from one that takes it."""
        return self._moves[state][verb]

    def allowed(self, state: str) -> tuple[str, ...]:
        """Give the verbs a state takes, in the table's order."""
        return tuple(self._moves[state])

    def mermaid(self) -> str:
        """Draw it as a Mermaid state diagram."""
        arrows = [f"[*] --> {self.initial}"]
        for state, verbs in self._moves.items():
            arrows += [f"{state} --> {to}: {verb}" for verb, all_ in verbs.items() for to in all_]
        arrows += [f"{state} --> [*]" for state in self.terminal]
        return "\n    ".join(["stateDiagram-v2", *arrows])

    def _add(self, words: list[str]) -> None:
        if len(words) != 3:  # noqa: PLR2004
            raise ValueError(f"{self.name}: not 'state verb state': {' '.join(words)}")
        state, verb, last = words
        targets = last.split("|")
        for word in (state, verb, *targets):
            _require_identifier(self.name, word)
        verbs = self._moves.setdefault(state, {})
        if verb in verbs:
            raise ValueError(f"{self.name}: '{state} {verb}' stands twice")
        verbs[verb] = tuple(targets)
        for target in targets:
            self._moves.setdefault(target, {})
            self._targets.setdefault(verb, {})[target] = None

    def _require_reachable(self) -> None:
        reached: set[str] = set()
        waiting = [self.initial]
        while waiting:
            state = waiting.pop()
            if state not in reached:
                reached.add(state)
                waiting.extend(to for all_ in self._moves[state].values() for to in all_)
        lost = [state for state in self.states if state not in reached]
        if lost:
            raise ValueError(f"{self.name}: nothing leads to {', '.join(lost)}")

    def _refusal(self, state: str, verb: str) -> ApiError:
        targets, verbs = self._targets[verb], self.allowed(state)
        if state in targets:
            message = f"This {self.name} is already '{state}'."
        else:
            ends = " or ".join(f"'{target}'" for target in targets)
            message = f"This {self.name} is '{state}' and cannot become {ends}."
        rest = f"What it allows now: {', '.join(verbs)}." if verbs else "It is final."
        return ApiError("state_invalid", f"{message} {rest}")


def _require_identifier(name: str, word: str) -> None:
    if not word.isidentifier():
        raise ValueError(f"{name}: '{word}' is not an identifier")
