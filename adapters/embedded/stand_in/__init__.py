"""The kit of the stand-ins: programs that answer in the place of a back-end and can be told to misbehave."""
