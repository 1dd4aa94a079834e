"""A folder of faults, and the environment in which a server finds them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.fault import Faults


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    """Faults that a server started with their environment suffers when they are armed."""
    return Faults(tmp_path)
