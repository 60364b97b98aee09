"""A stand-in composer: a process of its own speaking the composer's v2 API over HTTP, building nothing."""
