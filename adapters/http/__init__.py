"""Back-ends over HTTP: a shared small client, and one adapter for each back-end."""
