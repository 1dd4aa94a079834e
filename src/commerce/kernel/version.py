"""The version of the API that this code speaks."""

from typing import Final, Literal

API_VERSION: Final[Literal["2026-11-01"]] = "2026-11-01"
"""What `StateSet-Version` says on every answer."""
