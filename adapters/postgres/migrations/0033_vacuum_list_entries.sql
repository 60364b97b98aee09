-- outside a transaction
-- After the fill, as in 0013.
VACUUM (ANALYZE) compose_list_entries, compose_counts, composes;
