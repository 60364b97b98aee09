"""Blueprints: named, versioned descriptions of images (openapi.yaml, operations on /blueprints)."""
