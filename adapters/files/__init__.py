"""Files of operators: the distribution directory, the allow list, the quota file."""
