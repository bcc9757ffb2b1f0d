"""Comparisons of strengths of a restyle are told from restyles, which bring their own styles."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_JOBS = sa.table(
    "jobs",
    sa.column("id", sa.String()),
    sa.column("operation", sa.String()),
    sa.column("parent_job_id", sa.String()),
    sa.column("request", sa.JSON()),
)
_IMAGES = sa.table("images", sa.column("job_id", sa.String()), sa.column("operation", sa.String()))


def upgrade() -> None:
    parents = _JOBS.alias("parents")
    restyles = (
        sa.select(_JOBS.c.id, _JOBS.c.request, parents.c.request)
        .join(parents, parents.c.id == _JOBS.c.parent_job_id)
        .where(_JOBS.c.operation == "stylize", parents.c.operation == "stylize")
    )
    for job_id, request, parent_request in op.get_bind().execute(restyles).all():
        if _is_comparison(request["fields"], parent_request["fields"]):
            op.execute(sa.update(_JOBS).where(_JOBS.c.id == job_id).values(operation="compare"))
            of_job = sa.update(_IMAGES).where(_IMAGES.c.job_id == job_id)
            op.execute(of_job.values(operation="compare"))


def downgrade() -> None:
    for table in (_JOBS, _IMAGES):
        op.execute(
            sa.update(table).where(table.c.operation == "compare").values(operation="stylize")
        )


def _is_comparison(fields: Mapping[str, Any], compared: Mapping[str, Any]) -> bool:
    """Whether a restyle shows several strengths of the styles of another one."""
    return bool(fields.get("image_strengths")) and _styles(fields) <= _styles(compared)


def _styles(fields: Mapping[str, Any]) -> set[str]:
    """What tells the styles of a restyle from others: their pictures' files and names."""
    return {f"{style.get('image')} {style.get('preset')}" for style in fields.get("styles", ())}
