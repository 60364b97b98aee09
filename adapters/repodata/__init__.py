"""Reads the metadata of RPM repositories: metalink, repomd.xml, and the primary metadata that lists the packages.

Servers are not trusted: checksums are verified, sizes, nesting, memory and time are limited, and document type
declarations (which could define entities) are refused.
"""
