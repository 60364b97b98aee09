"""Conversion between osbuild blueprints in TOML and the API's customizations (openapi.yaml, schema Customizations)."""
