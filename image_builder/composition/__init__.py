"""The composition root: which adapter fulfils which port, and how use cases and controllers are put together."""
