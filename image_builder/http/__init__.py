"""The HTTP side of the service: what the contract says, turned into use cases and back."""

import warnings

# Connexion imports Starlette's test client along with itself; what that one prefers concerns nobody here.
warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient` is deprecated")
