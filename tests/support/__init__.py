"""Helpers that several test modules share: builders, databases, the running service."""
