"""Where results are, asked without making anything there."""

from __future__ import annotations

from pathlib import Path

from harness.store.engine import parse_location


def store_exists(location: str) -> bool:
    """Whether there is a database to open; of one on a server only the server knows. Raises StoreError as `open_store` does."""
    url = parse_location(location)
    return url.get_backend_name() != "sqlite" or Path(str(url.database)).exists()
