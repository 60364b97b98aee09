-- The function of 0029 that writes list entries, with a plan that a session keeps: as an SQL function it planned its join of
-- seven tables for every build, which took most of the time of inserting one. It writes the same rows.
--
-- The kept plan must suit tables of any size, also tables that were empty when it was made. Therefore each table is read by
-- its primary key for one build after the other: by subqueries instead of joins, behind `OFFSET 0`, and without
-- sequential scans.
CREATE OR REPLACE FUNCTION compose_list_entries_write(builds uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    INSERT INTO compose_list_entries AS known (job_id, org_id, created_at, image_type, architecture, distribution,
                                               lower_name, client_id, blueprint_id, blueprint_version, created_by, status,
                                               label_hashes)
    SELECT build.job_id, build.org_id, build.created_at,
           compose_list_entries_word(COALESCE(build.image #>> '{image_type}', ''), 50),
           compose_list_entries_word(COALESCE(build.image #>> '{architecture}', ''), 16),
           compose_list_entries_word(COALESCE(build.distribution, ''), 40),
           left(lower(COALESCE(build.image_name, '')), 100), compose_list_entries_word(build.client_id, 16),
           (SELECT versions.blueprint_id FROM blueprint_versions versions WHERE versions.id = build.blueprint_version_id),
           (SELECT versions.version FROM blueprint_versions versions WHERE versions.id = build.blueprint_version_id),
           (SELECT authors.created_by FROM compose_authors authors WHERE authors.job_id = build.job_id),
           compose_list_entries_word(COALESCE(
               (SELECT results.status FROM compose_results results WHERE results.job_id = build.job_id),
               (SELECT known_status.status FROM compose_statuses known_status WHERE known_status.job_id = build.job_id)
           ) ->> 'status', 20),
           (SELECT compose_list_entries_label_hashes(labels.labels) FROM compose_labels labels
            WHERE labels.job_id = build.job_id)
    FROM unnest(builds) wanted (id)
    CROSS JOIN LATERAL (
        SELECT composes.*, composes.request #> '{image_requests,0}' AS image,
               composes.request #>> '{distribution}' AS distribution
        FROM composes WHERE composes.job_id = wanted.id AND NOT composes.deleted
        OFFSET 0
    ) build
    ON CONFLICT (job_id) DO UPDATE
    SET org_id = EXCLUDED.org_id, created_at = EXCLUDED.created_at, image_type = EXCLUDED.image_type,
        architecture = EXCLUDED.architecture, distribution = EXCLUDED.distribution, lower_name = EXCLUDED.lower_name,
        client_id = EXCLUDED.client_id, blueprint_id = EXCLUDED.blueprint_id,
        blueprint_version = EXCLUDED.blueprint_version, created_by = EXCLUDED.created_by,
        status = COALESCE(known.status, EXCLUDED.status)
    WHERE (known.org_id, known.created_at, known.image_type, known.architecture, known.distribution, known.lower_name,
           known.client_id, known.blueprint_id, known.blueprint_version, known.created_by, known.status)
          IS DISTINCT FROM
          (EXCLUDED.org_id, EXCLUDED.created_at, EXCLUDED.image_type, EXCLUDED.architecture, EXCLUDED.distribution,
           EXCLUDED.lower_name, EXCLUDED.client_id, EXCLUDED.blueprint_id, EXCLUDED.blueprint_version,
           EXCLUDED.created_by, COALESCE(known.status, EXCLUDED.status));
END
$$;
-- As in 0018.
ALTER FUNCTION compose_list_entries_write(uuid[]) SET search_path FROM CURRENT;
