-- outside a transaction
CALL compose_list_entries_fill();
