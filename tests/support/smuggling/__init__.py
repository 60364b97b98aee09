"""A corpus of HTTP/1.1 messages that could carry a second, hidden request, and what sends them and reads the answers.

`messages` has the parts that entries are built from, `corpus.ENTRIES` all entries, `exchange` the client, and
`effects` what a run has done in the service. RFC 9110 and RFC 9112 say what is valid.
"""
