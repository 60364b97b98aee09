"""The batteries of the local default: what `make run` and the tests bring along instead of asking for."""
