"""Ports: the protocols through which use cases reach the database, the back-ends and files."""
