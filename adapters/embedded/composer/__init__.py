"""A stand-in for the composer: a separate process that answers the composer's v2 API over HTTP but builds nothing."""
