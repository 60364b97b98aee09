"""One module per capability: gather through ports, decide in the domain, store through ports."""
