"""How fast the service is, as ratios to bare Flask handlers measured in the same run; one command each."""
