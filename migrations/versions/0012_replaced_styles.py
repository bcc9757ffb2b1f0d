"""What a training's name meant when the training was accepted."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("replaces", sa.String(80), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "replaces")
