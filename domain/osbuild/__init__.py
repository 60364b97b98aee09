"""osbuild blueprints in TOML, and the v1 customizations they stand for."""
