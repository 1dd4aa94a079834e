"""Python imports this by its name at every start, in every process of a server under test."""

import os

if "FAULTS" in os.environ:
    from tests.faults import saboteur

    saboteur.install()
