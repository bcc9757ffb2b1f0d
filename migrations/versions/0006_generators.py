"""Generators that were trained here: their weights, where they may be used, how good they are."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "generators",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("owner_id", _INTEGER, nullable=False),
        sa.Column("guild_id", _INTEGER, nullable=True),
        sa.Column("job_id", sa.String(length=12), nullable=False),
        sa.Column("weights_key", sa.String(length=80), nullable=False),
        sa.Column("sheet_key", sa.String(length=80), nullable=False),
        sa.Column("pictures", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=120), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generators")),
    )
    op.create_index("ix_generators_guild", "generators", ["guild_id", "name"])
    op.create_index("ix_generators_owner", "generators", ["owner_id", "name"])
    op.create_index("ix_generators_weights", "generators", ["weights_key"])
    op.create_index("ix_generators_sheet", "generators", ["sheet_key"])


def downgrade() -> None:
    op.drop_table("generators")
