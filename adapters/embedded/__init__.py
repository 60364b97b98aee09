"""Dependencies that `make run` and the tests start themselves: a PostgreSQL server and stand-ins of the back-ends."""
