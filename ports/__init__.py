"""The protocols by which use cases reach a database, a composer, and the rest outside."""
