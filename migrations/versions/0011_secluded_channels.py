"""In which channel something private may be seen all the same, for it was made there."""

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


def downgrade() -> None:
    for table in ("images", "jobs"):
        op.drop_column(table, "shown_in")
