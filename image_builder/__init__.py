"""The application: use cases, the HTTP API, settings, and the command line."""
