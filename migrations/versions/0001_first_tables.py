"""First tables: jobs, images and their words, members, guilds, styles."""

import sqlalchemy as sa
from alembic import op

from bot.storage.tables import UtcDateTime

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


# The words of images.words, indexed; the table holds no copy of them.
SQLITE_WORDS = (
    """CREATE VIRTUAL TABLE image_words USING fts5(
        words, content='images', content_rowid='number', prefix='1 2 3', tokenize='unicode61'
    )""",
    """CREATE TRIGGER image_words_added AFTER INSERT ON images BEGIN
        INSERT INTO image_words(rowid, words) VALUES (new.number, new.words);
    END""",
    """CREATE TRIGGER image_words_removed AFTER DELETE ON images BEGIN
        INSERT INTO image_words(image_words, rowid, words)
        VALUES ('delete', old.number, old.words);
    END""",
    """CREATE TRIGGER image_words_changed AFTER UPDATE OF words ON images BEGIN
        INSERT INTO image_words(image_words, rowid, words)
        VALUES ('delete', old.number, old.words);
        INSERT INTO image_words(rowid, words) VALUES (new.number, new.words);
    END""",
)
POSTGRESQL_WORDS = (
    """ALTER TABLE images ADD COLUMN search tsvector
        GENERATED ALWAYS AS (to_tsvector('simple'::regconfig, words)) STORED""",
    # Without fastupdate: each search would read through what is not yet sorted in.
    "CREATE INDEX ix_images_search ON images USING gin (search) WITH (fastupdate = off)",
)


def upgrade() -> None:
    op.create_table(
        "guilds",
        sa.Column("guild_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("preferences", sa.JSON(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", name=op.f("pk_guilds")),
    )
    op.create_table(
        "jobs",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("owner_id", NUMBER, nullable=False),
        sa.Column("guild_id", NUMBER, nullable=True),
        sa.Column("channel_id", NUMBER, nullable=True),
        sa.Column("is_private", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("operation", sa.String(length=24), nullable=False),
        sa.Column("prompt", sa.String(), nullable=False),
        sa.Column("model", sa.String(length=120), nullable=False),
        sa.Column("seed", NUMBER, nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("parent_image_id", sa.String(length=12), nullable=True),
        sa.Column("parent_job_id", sa.String(length=12), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("work", sa.Double(), nullable=False),
        sa.Column("running_cap", sa.Integer(), nullable=True),
        sa.Column("guild_running_cap", sa.Integer(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("device_s", sa.Double(), nullable=True),
        sa.Column("timings", sa.JSON(), nullable=False),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("face", sa.String(length=20), nullable=False),
        sa.Column("address", sa.JSON(), nullable=False),
        sa.Column("deliver_after", UtcDateTime(), nullable=False),
        sa.Column("delivery_attempts", sa.Integer(), nullable=False),
        sa.Column("delivered_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_jobs")),
        sa.UniqueConstraint("id", name=op.f("uq_jobs_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_ended", "jobs", ["ended_at"], unique=False)
    op.create_index(
        "ix_jobs_open",
        "jobs",
        ["state", "number"],
        unique=False,
        sqlite_where=sa.text("state IN ('queued', 'running')"),
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_index("ix_jobs_owner", "jobs", ["owner_id", "number"], unique=False)
    op.create_index(
        "ix_jobs_undelivered",
        "jobs",
        ["deliver_after"],
        unique=False,
        sqlite_where=sa.text("delivered_at IS NULL AND ended_at IS NOT NULL"),
        postgresql_where=sa.text("delivered_at IS NULL AND ended_at IS NOT NULL"),
    )

    op.create_table(
        "members",
        sa.Column("owner_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("preferences", sa.JSON(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", name=op.f("pk_members")),
    )
    op.create_table(
        "styles",
        sa.Column("owner_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("guild_id", NUMBER, nullable=True),
        sa.Column("file_key", sa.String(length=80), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "name", name=op.f("pk_styles")),
    )
    op.create_index("ix_styles_file", "styles", ["file_key"], unique=False)
    op.create_index("ix_styles_guild", "styles", ["guild_id"], unique=False)

    op.create_table(
        "images",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("job_id", sa.String(length=12), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("owner_id", NUMBER, nullable=False),
        sa.Column("guild_id", NUMBER, nullable=True),
        sa.Column("seed", NUMBER, nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("prompt", sa.String(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("model", sa.String(length=120), nullable=False),
        sa.Column("parameters", sa.String(), nullable=False),
        sa.Column("operation", sa.String(length=24), nullable=False),
        sa.Column("parent_id", sa.String(length=12), nullable=True),
        sa.Column("is_private", sa.Boolean(), nullable=False),
        sa.Column("alt_text", sa.String(length=1024), nullable=False),
        sa.Column("file_key", sa.String(length=80), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("deleted_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_images_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_images")),
        sa.UniqueConstraint("id", name=op.f("uq_images_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_images_deleted",
        "images",
        ["deleted_at"],
        unique=False,
        sqlite_where=sa.text("deleted_at IS NOT NULL"),
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.create_index("ix_images_file", "images", ["file_key"], unique=False)
    op.create_index("ix_images_guild", "images", ["guild_id", "number"], unique=False)
    op.create_index("ix_images_job", "images", ["job_id", "place"], unique=True)
    op.create_index("ix_images_model", "images", ["model", "number"], unique=False)
    op.create_index("ix_images_owner", "images", ["owner_id", "number"], unique=False)
    op.create_index(
        "ix_images_public",
        "images",
        ["number"],
        unique=False,
        sqlite_where=sa.text("is_private = 0 AND deleted_at IS NULL"),
        postgresql_where=sa.text("NOT is_private AND deleted_at IS NULL"),
    )

    op.create_table(
        "job_files",
        sa.Column("job_id", sa.String(length=12), nullable=False),
        sa.Column("file_key", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_job_files_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "file_key", name=op.f("pk_job_files")),
    )
    op.create_index("ix_job_files_file", "job_files", ["file_key"], unique=False)

    op.create_table(
        "favourites",
        sa.Column("owner_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("image_id", sa.String(length=12), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_favourites_image_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("owner_id", "image_id", name=op.f("pk_favourites")),
    )
    op.create_index("ix_favourites_image", "favourites", ["image_id"], unique=False)

    op.create_table(
        "tags",
        sa.Column("image_id", sa.String(length=12), nullable=False),
        sa.Column("tag", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_tags_image_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("image_id", "tag", name=op.f("pk_tags")),
    )
    op.create_index("ix_tags_tag", "tags", ["tag"], unique=False)

    if op.get_bind().dialect.name == "sqlite":
        for statement in SQLITE_WORDS:
            op.execute(statement)
    else:
        for statement in POSTGRESQL_WORDS:
            op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE image_words")
    op.drop_index("ix_tags_tag", table_name="tags")

    op.drop_table("tags")
    op.drop_index("ix_favourites_image", table_name="favourites")

    op.drop_table("favourites")
    op.drop_index("ix_job_files_file", table_name="job_files")

    op.drop_table("job_files")
    op.drop_index("ix_images_public", table_name="images")
    op.drop_index("ix_images_owner", table_name="images")
    op.drop_index("ix_images_model", table_name="images")
    op.drop_index("ix_images_job", table_name="images")
    op.drop_index("ix_images_guild", table_name="images")
    op.drop_index("ix_images_file", table_name="images")
    op.drop_index("ix_images_deleted", table_name="images")

    op.drop_table("images")
    op.drop_index("ix_styles_guild", table_name="styles")
    op.drop_index("ix_styles_file", table_name="styles")

    op.drop_table("styles")
    op.drop_table("members")
    op.drop_index("ix_jobs_undelivered", table_name="jobs")
    op.drop_index("ix_jobs_owner", table_name="jobs")
    op.drop_index("ix_jobs_open", table_name="jobs")
    op.drop_index("ix_jobs_ended", table_name="jobs")

    op.drop_table("jobs")
    op.drop_table("guilds")
