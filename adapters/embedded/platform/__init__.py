"""Stand-ins of content sources, provisioning, compliance and recommendations: one process, one port, four APIs."""
