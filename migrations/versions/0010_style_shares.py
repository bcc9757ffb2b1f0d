"""Styles may be shared with several servers, each name once with each."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Of several of one name that were shared with a server, the oldest could be reached.
_SHARE = """
    INSERT INTO style_shares (guild_id, name, owner_id)
    SELECT guild_id, name, owner_id FROM styles
    WHERE guild_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM styles AS older
        WHERE older.guild_id = styles.guild_id AND older.name = styles.name
        AND (
            older.created_at < styles.created_at
            OR (older.created_at = styles.created_at AND older.owner_id < styles.owner_id)
        )
    )
"""
_SHARE_WITH_ONE = """
    UPDATE styles SET guild_id = (
        SELECT min(guild_id) FROM style_shares
        WHERE style_shares.owner_id = styles.owner_id AND style_shares.name = styles.name
    )
"""


def upgrade() -> None:
    op.create_table(
        "style_shares",
        sa.Column("guild_id", _INTEGER, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("owner_id", _INTEGER, nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id", "name"],
            ["styles.owner_id", "styles.name"],
            name=op.f("fk_style_shares_owner_id_name"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("guild_id", "name", name=op.f("pk_style_shares")),
    )
    op.create_index("ix_style_shares_style", "style_shares", ["owner_id", "name"])
    op.execute(_SHARE)
    op.drop_index("ix_styles_guild", table_name="styles")
    op.drop_column("styles", "guild_id")


def downgrade() -> None:
    op.add_column("styles", sa.Column("guild_id", _INTEGER, nullable=True))
    op.create_index("ix_styles_guild", "styles", ["guild_id"], unique=False)
    op.execute(_SHARE_WITH_ONE)
    op.drop_table("style_shares")
