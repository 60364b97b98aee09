"""The HTTP layer: it validates requests by openapi.yaml, calls use cases, and formats answers."""

import warnings

# Connexion imports Starlette's test client, which warns of a library that this service does not use.
warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient` is deprecated")
