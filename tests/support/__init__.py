"""What tests share: builders, a database, the running service."""
