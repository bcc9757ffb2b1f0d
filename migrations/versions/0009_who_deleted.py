"""Who deleted an image, so that its owner can't undo what an admin did."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("images", sa.Column("deleted_by", NUMBER, nullable=True))


def downgrade() -> None:
    op.drop_column("images", "deleted_by")
