-- Earlier forms of 0001 lacked this default, on which INSERTs of the Go service rely, and the name of the constraint. A
-- database at tern 15 has both and is not changed. Two differences remain in older databases, because they refuse
-- nothing that the Go service writes: org_id must not be blank, and composes.image_name is varchar(100). Its type
-- cannot be changed, because statements that running pods have prepared would fail.

ALTER TABLE blueprints ALTER COLUMN created_at SET DEFAULT CURRENT_TIMESTAMP;

DO $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM pg_constraint
        WHERE conrelid = 'blueprints'::regclass AND conname = 'blueprints_name_org_id_key'
    ) THEN
        ALTER TABLE blueprints RENAME CONSTRAINT blueprints_name_org_id_key TO blueprints_name_unique;
    END IF;
END
$$;
