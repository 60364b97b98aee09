"""PostgreSQL 12 and up: the SQL, the pool, the migrations."""
