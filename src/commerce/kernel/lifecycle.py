"""Lifecycles: which verb takes an object from which state to which, as a table."""

from commerce.kernel.errors import ApiError


class Lifecycle:
    """The states of a kind of object and the verbs between them.

    Read from lines of `state verb state`, with comments after `#`; the first state is the
    initial one. Raises ValueError at construction for a line of another shape, a name that is
    no identifier, two lines for one state and verb, or a state that cannot be reached.
    """

    def __init__(self, name: str, table: str) -> None:
        """Read the table of the object kind called `name`."""
        self.name = name
        self._moves: dict[str, dict[str, str]] = {}
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

    def move(self, state: str, verb: str) -> str:
        """Give the state that the verb leads to. Raises state_invalid, naming both states.

        Raises KeyError for a state or verb the table lacks: a programming error.
        """
        target = self._moves[state].get(verb)
        if target is None:
            raise self._refusal(state, verb)
        return target

    def allowed(self, state: str) -> tuple[str, ...]:
        """Give the verbs a state takes, in the table's order."""
        return tuple(self._moves[state])

    def mermaid(self) -> str:
        """Draw it as a Mermaid state diagram."""
        arrows = [f"[*] --> {self.initial}"]
        for state, verbs in self._moves.items():
            arrows += [f"{state} --> {target}: {verb}" for verb, target in verbs.items()]
        arrows += [f"{state} --> [*]" for state in self.terminal]
        return "\n    ".join(["stateDiagram-v2", *arrows])

    def _add(self, words: list[str]) -> None:
        if len(words) != 3:  # noqa: PLR2004
            raise ValueError(f"{self.name}: not 'state verb state': {' '.join(words)}")
        for word in words:
            _require_identifier(self.name, word)
        state, verb, target = words
        verbs = self._moves.setdefault(state, {})
        if verb in verbs:
            raise ValueError(f"{self.name}: '{state} {verb}' stands twice")
        verbs[verb] = target
        self._moves.setdefault(target, {})
        self._targets.setdefault(verb, {})[target] = None

    def _require_reachable(self) -> None:
        reached: set[str] = set()
        waiting = [self.initial]
        while waiting:
            state = waiting.pop()
            if state not in reached:
                reached.add(state)
                waiting.extend(self._moves[state].values())
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
