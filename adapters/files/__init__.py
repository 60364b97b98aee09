"""What operators keep in files: the distribution directory, the allow list, the quota file."""
