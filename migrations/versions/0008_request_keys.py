"""Jobs of a request that names a key are made once."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("request_key", sa.String(length=80), nullable=True))
    op.add_column(
        "jobs", sa.Column("request_place", sa.Integer(), nullable=False, server_default="0")
    )
    op.create_index(
        "ix_jobs_request_key",
        "jobs",
        ["owner_id", "request_key", "request_place"],
        unique=True,
        sqlite_where=sa.text("request_key IS NOT NULL"),
        postgresql_where=sa.text("request_key IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_jobs_request_key",
        table_name="jobs",
        sqlite_where=sa.text("request_key IS NOT NULL"),
        postgresql_where=sa.text("request_key IS NOT NULL"),
    )
    op.drop_column("jobs", "request_place")
    op.drop_column("jobs", "request_key")
