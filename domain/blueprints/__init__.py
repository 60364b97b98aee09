"""Blueprints: what images are made from, kept in versions (contract: /blueprints)."""
