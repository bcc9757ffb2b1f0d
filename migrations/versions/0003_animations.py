"""Images may move: the file of an animation beside its first frame."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("images", sa.Column("animation_key", sa.String(length=80), nullable=True))
    op.create_index(
        "ix_images_animation",
        "images",
        ["animation_key"],
        unique=False,
        sqlite_where=sa.text("animation_key IS NOT NULL"),
        postgresql_where=sa.text("animation_key IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_images_animation",
        table_name="images",
        sqlite_where=sa.text("animation_key IS NOT NULL"),
        postgresql_where=sa.text("animation_key IS NOT NULL"),
    )
    op.drop_column("images", "animation_key")
