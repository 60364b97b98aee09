-- Earlier forms of 0001 lacked this default, which the Go service's INSERTs rely on, and the constraint's name. A
-- database at tern 15 has both: nothing changes there. Two differences stay in databases from before, because they
-- refuse nothing that the Go service writes: org_id may not be blank, and composes.image_name is varchar(100), whose
-- type cannot change without failing the statements that running pods have prepared.

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
