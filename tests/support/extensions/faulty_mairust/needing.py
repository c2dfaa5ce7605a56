"""Needs what is not installed."""

import acme_nowhere_else  # type: ignore[import-not-found]  # as it says

__all__ = ["acme_nowhere_else"]
