"""The composer's request for a compose request of ours.

`request` reads our request, `source` resolves what the image is built from, `checks` refuses what needs no back-end's
answer, `lookups` says what back-ends are asked, `context` holds all of it together, `build` writes the composer's
request.
"""
