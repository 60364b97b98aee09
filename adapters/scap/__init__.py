"""SCAP content: security profiles as benchmarks have them."""
