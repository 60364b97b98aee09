-- outside a transaction
CALL compose_counts_repair();
