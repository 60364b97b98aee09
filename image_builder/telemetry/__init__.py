"""What the service tells its operators: logs and metrics."""
