"""Styles may be trained: the file of what was learnt beside the picture."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("styles", sa.Column("learnt_key", sa.String(length=80), nullable=True))
    op.create_index("ix_styles_learnt", "styles", ["learnt_key"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_styles_learnt", table_name="styles")
    op.drop_column("styles", "learnt_key")
