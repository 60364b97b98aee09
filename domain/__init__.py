"""What is true about composes, quotas, identities and distributions: data in, data or a domain error out."""
