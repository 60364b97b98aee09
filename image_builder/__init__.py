"""The application: use cases, the HTTP API, settings, and the command line."""

from typing import Final

__version__: Final = "1.0.0"
