"""Reasons of failed jobs remember how they were made, to be told in other languages."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("reason_parts", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "reason_parts")
