"""Clients of back-ends over HTTP: what all of them share (client.py), and one adapter for each back-end."""
