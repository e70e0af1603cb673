"""Screening, without a database."""
