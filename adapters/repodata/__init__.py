"""What RPM repositories say they hold: metalink, repomd.xml and primary, read with checksums and bounds.

Nothing of it is trusted: sizes, nesting, memory and time are bounded, and a document type (which could define entities)
is refused.
"""
