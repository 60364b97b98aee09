"""Common parts of the stand-ins: programs that answer instead of a back-end, and misbehave when a test says so."""
