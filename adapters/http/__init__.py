"""Clients of back-ends over HTTP: a common one (client.py), and an adapter for each back-end."""
