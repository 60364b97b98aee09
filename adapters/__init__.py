"""The technologies that fulfil the ports, a folder each."""
