"""Reads security profiles from SCAP content, and writes them to the distribution directory."""
