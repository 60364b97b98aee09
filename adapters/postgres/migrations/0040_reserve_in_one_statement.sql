-- The quota of an organization, counted and reserved by one statement: the counting must see what was committed before the
-- lock was granted, which a single SELECT cannot do, and several statements need a transaction.

-- How many builds of an organization count towards a quota, and when the first of them was started: `used` is at most
-- `quota_limit`; only the newest count. A time may be slightly in the future, because another program's clock may be fast. A
-- time more than a day in the future is damaged and does not count: such a build would never leave the window
-- (docs/operations.md, Damaged timestamps).
CREATE FUNCTION compose_quota_usage(
    tenant varchar, quota_window interval, quota_limit bigint,
    OUT at timestamp, OUT used bigint, OUT earliest timestamp
) LANGUAGE plpgsql AS $$
DECLARE
    present CONSTANT timestamp := clock_timestamp() AT TIME ZONE 'utc';
    since CONSTANT timestamp := present - quota_window;
    ends CONSTANT timestamp := present + interval '1 day';
    first_period CONSTANT timestamp := compose_fine_counts_period(since);
    last_period CONSTANT timestamp := compose_fine_counts_period(ends);
    is_exceeded boolean;
BEGIN
    at := present;
    IF quota_limit <= 1000 THEN
        -- At most `quota_limit` rows of each table are read, however long the history is.
        SELECT count(*), min(created_at) INTO used, earliest
        FROM (
            (SELECT created_at FROM composes WHERE org_id = tenant AND created_at > since AND created_at < ends
             ORDER BY created_at DESC LIMIT quota_limit)
            UNION ALL
            (SELECT created_at FROM compose_starts WHERE org_id = tenant AND created_at > since AND created_at < ends
             ORDER BY created_at DESC LIMIT quota_limit)
            ORDER BY created_at DESC LIMIT quota_limit
        ) newest;
        RETURN;
    END IF;
    -- The counts of whole periods, and the builds of the first and the last period.
    SELECT least(COALESCE(sum(number), 0), quota_limit), COALESCE(sum(number), 0) > quota_limit INTO used, is_exceeded
    FROM (
        SELECT sum(count) FROM compose_quota_counts
        WHERE org_id = tenant AND period > first_period AND period < last_period
        UNION ALL
        SELECT count(*) FROM composes
        WHERE org_id = tenant AND created_at > since AND created_at < first_period + interval '20 minutes'
        UNION ALL
        SELECT count(*) FROM composes WHERE org_id = tenant AND created_at >= last_period AND created_at < ends
        UNION ALL
        SELECT count(*) FROM compose_starts WHERE org_id = tenant AND created_at > since AND created_at < ends
    ) parts (number);
    IF is_exceeded THEN
        -- The limit was lowered: find the period of the earliest build that counts, and the build within it.
        SELECT found.created_at INTO earliest
        FROM (
            SELECT period, number, sum(number) OVER (ORDER BY period DESC) AS with_newer
            FROM (
                SELECT period, sum(number)::bigint AS number
                FROM (
                    SELECT period, count FROM compose_quota_counts
                    WHERE org_id = tenant AND period > first_period AND period < last_period
                    UNION ALL
                    SELECT first_period, count(*) FROM composes
                    WHERE org_id = tenant AND created_at > since AND created_at < first_period + interval '20 minutes'
                    UNION ALL
                    SELECT last_period, count(*) FROM composes
                    WHERE org_id = tenant AND created_at >= last_period AND created_at < ends
                    UNION ALL
                    SELECT compose_fine_counts_period(created_at), 1 FROM compose_starts
                    WHERE org_id = tenant AND created_at > since AND created_at < ends
                ) parts (period, number)
                GROUP BY period
            ) periods
        ) cumulated
        CROSS JOIN LATERAL (
            SELECT created_at
            FROM (
                (SELECT created_at FROM composes
                 WHERE org_id = tenant AND created_at > since AND created_at < ends
                   AND created_at >= cumulated.period AND created_at < cumulated.period + interval '20 minutes'
                 ORDER BY created_at DESC)
                UNION ALL
                (SELECT created_at FROM compose_starts
                 WHERE org_id = tenant AND created_at > since AND created_at < ends
                   AND created_at >= cumulated.period AND created_at < cumulated.period + interval '20 minutes'
                 ORDER BY created_at DESC)
            ) builds
            ORDER BY created_at DESC
            OFFSET quota_limit - (cumulated.with_newer - cumulated.number) - 1
            LIMIT 1
        ) found
        WHERE cumulated.with_newer >= quota_limit AND cumulated.with_newer - cumulated.number < quota_limit;
    END IF;
    IF earliest IS NULL THEN
        SELECT min(created_at) INTO earliest
        FROM (
            (SELECT created_at FROM composes WHERE org_id = tenant AND created_at > since AND created_at < ends
             ORDER BY created_at LIMIT 1)
            UNION ALL
            (SELECT created_at FROM compose_starts WHERE org_id = tenant AND created_at > since AND created_at < ends
             ORDER BY created_at LIMIT 1)
        ) oldest;
    END IF;
END
$$;

-- Checks that the quota suffices for `builds` starts of a request, and records the first. The reservations of an organization
-- wait for each other; the lock is released with the transaction, of which this is usually the only statement. `made` gets
-- a NULL for each build of the request; the recording of a build replaces it by the build's id.
CREATE FUNCTION compose_starts_reserve(
    tenant varchar, quota_window interval, quota_limit bigint, builds integer,
    new_id uuid, new_fingerprint bytea, new_compose jsonb, new_version uuid, new_position integer, new_key uuid,
    OUT at timestamp, OUT used bigint, OUT earliest timestamp, OUT granted boolean
) LANGUAGE plpgsql AS $$
BEGIN
    -- The class of the advisory locks of organizations; older programs use the same.
    PERFORM pg_advisory_xact_lock(x'1B0001'::integer, hashtext(tenant));
    SELECT usage.at, usage.used, usage.earliest INTO at, used, earliest
    FROM compose_quota_usage(tenant, quota_window, quota_limit) usage;
    granted := used + builds <= quota_limit;
    IF new_key IS NOT NULL THEN
        UPDATE idempotency_keys SET made = array_fill(NULL::uuid, ARRAY[builds]) WHERE id = new_key;
    END IF;
    IF granted THEN
        INSERT INTO compose_starts (id, fingerprint, compose, blueprint_version_id, position, key_id, org_id, created_at)
        VALUES (new_id, new_fingerprint, new_compose, new_version, new_position, new_key, tenant, at);
    END IF;
END
$$;

-- As in 0018.
ALTER FUNCTION compose_quota_usage(varchar, interval, bigint) SET search_path FROM CURRENT;
ALTER FUNCTION compose_starts_reserve(varchar, interval, bigint, integer, uuid, bytea, jsonb, uuid, integer, uuid)
    SET search_path FROM CURRENT;
