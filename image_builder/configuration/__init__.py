"""The configuration of one process: environment variables, read once into frozen objects."""
