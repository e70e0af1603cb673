"""Attacks run against the product as it is served."""

from tests.faults.conftest import filled_database, product

__all__ = ["filled_database", "product"]
