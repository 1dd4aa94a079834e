"""The version of the API that this code speaks."""

from typing import Final

API_VERSION: Final = "2026-11-01"
"""What `StateSet-Version` says on every answer."""
