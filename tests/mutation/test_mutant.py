"""Mutants are what they say they are, and what is said of survivors is said of mutants."""

from __future__ import annotations

import ast

from tests.mutation.__main__ import LAYERS, explained
from tests.mutation.crowd import SOURCE
from tests.mutation.mutant import Mutant, mutants, of_layers

TEXT = '''
"""What is said of it."""
KEPT: int = 60 * 60

@cache
def give(amount: int, more: bool = False) -> int:
    """Prose."""
    if amount < KEPT and not more:
        raise ValueError("not enough of it")
    things["a"] = amount
    log.info("given", amount=amount)
    return amount + 1
'''


def made(text: str = TEXT) -> list[Mutant]:
    return mutants("kernel/give.py", ast.parse(text))


def test_a_mutant_is_one_small_thing_that_is_wrong() -> None:
    assert [mutant.wrong for mutant in made()] == [
        "60 * 60 → 60 // 60",
        "60 → 61",
        "60 → 61 (2)",
        "False → True",
        "amount < KEPT and (not more) → amount < KEPT or not more",
        "amount < KEPT → amount <= KEPT",
        "amount < KEPT → amount >= KEPT",
        "not more → more",
        "raise ValueError('not enough of it') → pass",
        "things['a'] = amount → pass",
        "'a' → 'a~'",
        "'given' → 'given~'",
        "return amount + 1 → return None",
        "amount + 1 → amount - 1",
        "1 → 2",
    ]


def test_a_mutant_is_named_by_its_place_and_its_lines_are_those_of_its_statement() -> None:
    first, *_, last = made()
    assert first.name == "kernel/give.py module: 60 * 60 → 60 // 60"
    assert (first.function, first.lines) == (None, (3, 3))
    assert last.name == "kernel/give.py give: 1 → 2"
    assert (last.function, last.lines) == (("give", 5), (12, 12))
    default = next(mutant for mutant in made() if mutant.wrong == "False → True")
    assert default.function is None, "a default is made when the function is"


def test_each_mutant_is_the_module_with_its_change_and_leaves_no_trace() -> None:
    tree = ast.parse(TEXT)
    whole = ast.unparse(tree)
    texts = {ast.unparse(mutant.made()) for mutant in mutants("kernel/give.py", tree)}
    assert len(texts) == len(made())
    assert whole not in texts
    assert ast.unparse(tree) == whole
    for mutant in made():
        compile(mutant.made(), "give.py", "exec", dont_inherit=True)


def test_only_mutants_that_there_are_are_explained_and_each_in_words() -> None:
    names = {mutant.name for mutant in of_layers(LAYERS, SOURCE)}
    reasons = explained()
    assert reasons.keys() - names == set()
    assert min(len(why.split()) for why in reasons.values()) > 3
