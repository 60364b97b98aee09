"""From a compose request to the composer's: one pure composition of small functions."""
