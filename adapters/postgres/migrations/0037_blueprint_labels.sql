-- Labels of blueprints, as compose_labels has those of builds.

CREATE TABLE blueprint_labels (
    blueprint_id uuid PRIMARY KEY REFERENCES blueprints (id) ON DELETE CASCADE,
    labels       jsonb NOT NULL
);
