"""Images that move may have a video beside their animation."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("images", sa.Column("video_key", sa.String(length=80), nullable=True))
    op.create_index(
        "ix_images_video",
        "images",
        ["video_key"],
        unique=False,
        sqlite_where=sa.text("video_key IS NOT NULL"),
        postgresql_where=sa.text("video_key IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_images_video",
        table_name="images",
        sqlite_where=sa.text("video_key IS NOT NULL"),
        postgresql_where=sa.text("video_key IS NOT NULL"),
    )
    op.drop_column("images", "video_key")
