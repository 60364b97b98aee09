-- What lists of builds are filtered and sorted by: one narrow row for each build that is not deleted, and two indexes
-- that hold all of it, so that a list with filters reads only an index. Triggers keep it, because older programs write to
-- `composes` and do not know it; their functions run with the rights of the owner, because those programs have none here.
--
-- Texts are cut so that an index entry stays below PostgreSQL's limit of 2,704 bytes, with an org_id of 1,000 bytes, a user
-- name of 255 bytes and 30 labels. No value that the service accepts as a filter is that long.

-- Who started a build: the user name in the identity; no row for builds of the Go service, and for unknown names. The row
-- is written by the statement that writes the build.
CREATE TABLE compose_authors (
    job_id     uuid PRIMARY KEY REFERENCES composes (job_id) ON DELETE CASCADE,
    created_by varchar(255) NOT NULL
);

-- The labels of a build, a JSON object of texts. The row is written by the statement that writes the build, and changed
-- later. A build that has, or had, no labels may have no row.
CREATE TABLE compose_labels (
    job_id uuid PRIMARY KEY REFERENCES composes (job_id) ON DELETE CASCADE,
    labels jsonb NOT NULL
);

CREATE TABLE compose_list_entries (
    job_id            uuid PRIMARY KEY REFERENCES composes (job_id) ON DELETE CASCADE,
    org_id            varchar NOT NULL,
    created_at        timestamp NOT NULL,
    image_type        varchar(50) NOT NULL,
    architecture      varchar(16) NOT NULL,
    distribution      varchar(40) NOT NULL,
    -- The image name in lower case, '' for none; in the order of code points, whatever the collation of the database.
    lower_name        text COLLATE "C" NOT NULL,
    client_id         varchar(16),
    blueprint_id      uuid,
    blueprint_version integer,
    created_by        varchar(255),
    -- The last known status; NULL where none is known.
    status            varchar(20),
    -- Two numbers for each label, of its key and of `key:value` (compose_labels_hash); NULL for no labels. Whole labels
    -- would not fit into an index entry.
    label_hashes      bigint[]
);
CREATE INDEX compose_list_entries_by_age_idx
    ON compose_list_entries (org_id, created_at DESC, job_id DESC)
    INCLUDE (image_type, architecture, distribution, lower_name, client_id, blueprint_id, blueprint_version, created_by,
             status, label_hashes);
-- The condition is always true. Only statements that have it use this index: others would read all ages of builds by it.
CREATE INDEX compose_list_entries_by_name_idx
    ON compose_list_entries (org_id, lower_name, job_id)
    INCLUDE (created_at, image_type, architecture, distribution, client_id, blueprint_id, blueprint_version, created_by,
             status, label_hashes)
    WHERE lower_name >= '';

-- How many of these rows an organization has by image type and period, so that a count need not read them all. Several
-- rows may count the same period: a transaction that finds one locked adds to another, and waits for none.
CREATE TABLE compose_counts (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id     varchar NOT NULL,
    period     timestamp NOT NULL,
    image_type varchar(50) NOT NULL,
    count      bigint NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX compose_counts_org_id_period_idx ON compose_counts (org_id, period, image_type);

-- Both tables get new row versions with each build, and each status.
DO $$
BEGIN
    ALTER TABLE compose_list_entries SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
    ALTER TABLE compose_counts SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
    IF current_setting('server_version_num')::integer >= 130000 THEN
        ALTER TABLE compose_list_entries SET (
            autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 5000);
    END IF;
END
$$;

-- The beginning of the period of six hours that a time is in. An infinite time is its own period.
CREATE FUNCTION compose_counts_period(at timestamp) RETURNS timestamp LANGUAGE sql IMMUTABLE AS $$
    SELECT date_trunc('day', at) + COALESCE(floor(extract(hour FROM at) / 6), 0) * interval '6 hours'
$$;

-- Adds to the count of a period. In a transaction that reads a fixed snapshot, updating a row could fail: it adds a row.
CREATE FUNCTION compose_counts_add(tenant varchar, at timestamp, type varchar, number bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    unlocked bigint;
    remains  bigint;
BEGIN
    IF current_setting('transaction_isolation') = 'read committed' THEN
        SELECT id INTO unlocked FROM compose_counts
        WHERE org_id = tenant AND period = compose_counts_period(at) AND image_type = type
        ORDER BY org_id, period, image_type LIMIT 1 FOR UPDATE SKIP LOCKED;
    END IF;
    IF unlocked IS NULL THEN
        INSERT INTO compose_counts (org_id, period, image_type, count)
        VALUES (tenant, compose_counts_period(at), type, number);
    ELSE
        UPDATE compose_counts SET count = count + number WHERE id = unlocked RETURNING count INTO remains;
        IF remains = 0 THEN
            DELETE FROM compose_counts WHERE id = unlocked;
        END IF;
    END IF;
END
$$;

CREATE FUNCTION compose_list_entries_count_new() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM compose_counts_add(org_id, period, image_type, number)
    FROM (SELECT org_id, compose_counts_period(created_at) AS period, image_type, count(*) AS number
          FROM new_rows GROUP BY 1, 2, 3) added;
    RETURN NULL;
END
$$;
CREATE TRIGGER compose_list_entries_count_new AFTER INSERT ON compose_list_entries
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION compose_list_entries_count_new();

CREATE FUNCTION compose_list_entries_count_old() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM compose_counts_add(org_id, period, image_type, -number)
    FROM (SELECT org_id, compose_counts_period(created_at) AS period, image_type, count(*) AS number
          FROM old_rows GROUP BY 1, 2, 3) removed;
    RETURN NULL;
END
$$;
CREATE TRIGGER compose_list_entries_count_old AFTER DELETE ON compose_list_entries
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION compose_list_entries_count_old();

CREATE FUNCTION compose_list_entries_count_none() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    DELETE FROM compose_counts;
    RETURN NULL;
END
$$;
CREATE TRIGGER compose_list_entries_count_none AFTER TRUNCATE ON compose_list_entries
    FOR EACH STATEMENT EXECUTE FUNCTION compose_list_entries_count_none();

CREATE FUNCTION compose_list_entries_count_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM compose_counts_add(OLD.org_id, OLD.created_at, OLD.image_type, -1);
    PERFORM compose_counts_add(NEW.org_id, NEW.created_at, NEW.image_type, 1);
    RETURN NULL;
END
$$;
CREATE TRIGGER compose_list_entries_count_changed AFTER UPDATE ON compose_list_entries FOR EACH ROW
    WHEN ((OLD.org_id, OLD.created_at, OLD.image_type) IS DISTINCT FROM (NEW.org_id, NEW.created_at, NEW.image_type))
    EXECUTE FUNCTION compose_list_entries_count_changed();

-- The numbers of labels, or of keys, as texts `key:value` or `key`. 64 bits of SHA-256: two of a million labels have the same
-- number with a probability of 1 in 30 million. The numbers must stay the same on all servers and versions.
CREATE FUNCTION compose_labels_hash(texts text[]) RETURNS bigint[] LANGUAGE sql STABLE AS $$
    SELECT array_agg(('x' || encode(substr(sha256(convert_to(each, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint)
    FROM unnest(texts) AS all_texts (each)
$$;

-- The column label_hashes of a build with these labels.
CREATE FUNCTION compose_list_entries_label_hashes(labels jsonb) RETURNS bigint[] LANGUAGE sql STABLE AS $$
    SELECT compose_labels_hash(array_agg(key) || array_agg(key || ':' || value)) FROM jsonb_each_text(labels)
$$;

-- A word of a request, cut to a length. Words that requests may hold are ASCII; older programs may have stored others.
CREATE FUNCTION compose_list_entries_word(word text, longest integer) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT left(regexp_replace(word, '[^ -~]', '?', 'g'), longest)
$$;

-- Writes the rows of these builds, without those that are deleted. Labels and status of an existing row stay: other triggers
-- write them, and may have written later ones than this statement sees.
CREATE FUNCTION compose_list_entries_write(builds uuid[]) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
    INSERT INTO compose_list_entries AS known (job_id, org_id, created_at, image_type, architecture, distribution,
                                               lower_name, client_id, blueprint_id, blueprint_version, created_by, status,
                                               label_hashes)
    SELECT composes.job_id, composes.org_id, composes.created_at,
           compose_list_entries_word(COALESCE(composes.request #>> '{image_requests,0,image_type}', ''), 50),
           compose_list_entries_word(COALESCE(composes.request #>> '{image_requests,0,architecture}', ''), 16),
           compose_list_entries_word(COALESCE(composes.request #>> '{distribution}', ''), 40),
           left(lower(COALESCE(composes.image_name, '')), 100), compose_list_entries_word(composes.client_id, 16),
           versions.blueprint_id, versions.version, authors.created_by,
           compose_list_entries_word(COALESCE(results.status, known_status.status) ->> 'status', 20),
           compose_list_entries_label_hashes(labels.labels)
    FROM unnest(builds) wanted (id)
    JOIN composes ON composes.job_id = wanted.id AND NOT composes.deleted
    LEFT JOIN blueprint_versions versions ON versions.id = composes.blueprint_version_id
    LEFT JOIN compose_authors authors ON authors.job_id = composes.job_id
    LEFT JOIN compose_labels labels ON labels.job_id = composes.job_id
    LEFT JOIN compose_results results ON results.job_id = composes.job_id
    LEFT JOIN compose_statuses known_status ON known_status.job_id = composes.job_id
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
           EXCLUDED.created_by, COALESCE(known.status, EXCLUDED.status))
$$;

CREATE FUNCTION composes_add_list_entry() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM compose_list_entries_write(ARRAY[NEW.job_id]);
    RETURN NULL;
END
$$;
CREATE TRIGGER composes_add_list_entry AFTER INSERT ON composes
    FOR EACH ROW EXECUTE FUNCTION composes_add_list_entry();

-- For all rows of a statement at once: one may mark thousands of builds as deleted.
CREATE FUNCTION composes_keep_list_entries() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    DELETE FROM compose_list_entries
    WHERE job_id = ANY (ARRAY(SELECT new_rows.job_id FROM new_rows WHERE new_rows.deleted));
    PERFORM compose_list_entries_write(ARRAY(SELECT new_rows.job_id FROM new_rows WHERE NOT new_rows.deleted));
    RETURN NULL;
END
$$;
CREATE TRIGGER composes_keep_list_entries AFTER UPDATE ON composes
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION composes_keep_list_entries();

CREATE FUNCTION compose_labels_tell_list_entry() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    hashes CONSTANT bigint[] := compose_list_entries_label_hashes(NEW.labels);
BEGIN
    UPDATE compose_list_entries SET label_hashes = hashes
    WHERE job_id = NEW.job_id AND label_hashes IS DISTINCT FROM hashes;
    RETURN NULL;
END
$$;
CREATE TRIGGER compose_labels_tell_list_entry AFTER INSERT OR UPDATE ON compose_labels
    FOR EACH ROW EXECUTE FUNCTION compose_labels_tell_list_entry();

-- Writes the entries that are missing: those of builds from before this migration, of any age, and of builds that were
-- restored without triggers (docs/operations.md, Filters and counts of lists). Batches as in 0008. Builds are locked while their entries are
-- written: a deletion in progress is skipped, and a later one waits and finds the entry.
CREATE PROCEDURE compose_list_entries_fill() LANGUAGE plpgsql AS $$
DECLARE
    batch    uuid[];
    unlocked uuid[];
BEGIN
    WHILE EXISTS (
        SELECT 1 FROM composes
        WHERE NOT deleted AND NOT EXISTS (SELECT 1 FROM compose_list_entries entries WHERE entries.job_id = composes.job_id)
    ) LOOP
        FOR batch IN
            SELECT array_agg(job_id)
            FROM (SELECT job_id, row_number() OVER () / 500 AS number FROM composes
                  WHERE NOT deleted AND NOT EXISTS (
                      SELECT 1 FROM compose_list_entries entries WHERE entries.job_id = composes.job_id)) numbered
            GROUP BY number
            ORDER BY number
        LOOP
            SELECT array_agg(job_id) INTO unlocked
            FROM (SELECT job_id FROM composes WHERE job_id = ANY (batch) AND NOT deleted
                  FOR NO KEY UPDATE SKIP LOCKED) lockable;
            PERFORM compose_list_entries_write(unlocked);
            COMMIT;
        END LOOP;
        PERFORM pg_sleep(0.1);
    END LOOP;
END
$$;

-- The functions must find their tables and each other whatever the search_path of the session is, as in 0018.
ALTER FUNCTION compose_counts_add(varchar, timestamp, varchar, bigint) SET search_path FROM CURRENT;
ALTER FUNCTION compose_list_entries_count_new() SET search_path FROM CURRENT;
ALTER FUNCTION compose_list_entries_count_old() SET search_path FROM CURRENT;
ALTER FUNCTION compose_list_entries_count_none() SET search_path FROM CURRENT;
ALTER FUNCTION compose_list_entries_count_changed() SET search_path FROM CURRENT;
ALTER FUNCTION compose_list_entries_label_hashes(jsonb) SET search_path FROM CURRENT;
ALTER FUNCTION compose_list_entries_write(uuid[]) SET search_path FROM CURRENT;
ALTER FUNCTION compose_labels_tell_list_entry() SET search_path FROM CURRENT;
ALTER FUNCTION composes_add_list_entry() SET search_path FROM CURRENT;
ALTER FUNCTION composes_keep_list_entries() SET search_path FROM CURRENT;
REVOKE ALL ON FUNCTION compose_counts_add(varchar, timestamp, varchar, bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION compose_list_entries_write(uuid[]) FROM PUBLIC;
