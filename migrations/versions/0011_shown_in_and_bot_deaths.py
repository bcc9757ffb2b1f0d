"""In which channel what is private may be seen; how many bots ended while a job ran."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for table in ("jobs", "images"):
        op.add_column(table, sa.Column("shown_in", NUMBER, nullable=True))
    ends = sa.Column("bot_deaths", sa.Integer(), nullable=False, server_default="0")
    op.add_column("jobs", ends)


def downgrade() -> None:
    op.drop_column("jobs", "bot_deaths")
    for table in ("images", "jobs"):
        op.drop_column(table, "shown_in")
