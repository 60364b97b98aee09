"""What the service needs from the world, as small protocols in the domain's terms."""
