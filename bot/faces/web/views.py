"""Jobs, images and models as JSON values."""

import base64

from bot.faces.web.answers import Flag, Image, Job, Jobs, Model, Page, Preset, Update
from bot.faces.web.shapes import told_cursor
from bot.prompts import FlagSpec, StylePreset
from bot.studio.contract import LOCAL_OWNER, GalleryPage, ImageView, JobUpdate, JobView
from bot.wording import translated
from engine.api import ModelInfo


def image_json(image: ImageView, locale: str) -> Image:
    """One image, described in the language of a locale."""
    return {
        "id": image.id,
        "job_id": image.job_id,
        "index": image.index,
        "seed": image.seed,
        "width": image.width,
        "height": image.height,
        "prompt": image.prompt,
        "model": image.model,
        "parameters": image.parameters,
        "operation": image.operation,
        "parent": image.parent_id,
        "private": image.is_private,
        "favourite": image.is_favourite,
        "own": image.owner_id == LOCAL_OWNER,
        "tags": list(image.tags),
        "alt": translated(image.alt_text, locale),
        "created_at": image.created_at.isoformat(),
        "png": f"/api/images/{image.id}.png",
        "webp": f"/api/images/{image.id}.webp",
        "animation": f"/api/images/{image.id}/animation.webp" if image.is_animated else None,
        "video": f"/api/images/{image.id}/video.mp4" if image.is_video else None,
    }


def job_json(job: JobView, locale: str) -> Job:
    """One job with its images; all that is told is in the language of a locale."""
    return {
        "id": job.id,
        "status": job.state,
        "reason": translated(job.reason, locale),
        "progress": round(job.progress, 4),
        "step": job.step,
        "total": job.total,
        "position": job.position,
        "estimate_s": job.estimate_s,
        "prompt": job.prompt,
        "seed": job.seed,
        "model": job.model,
        "operation": job.operation,
        "parent": job.parent_id,
        "private": job.is_private,
        "created_at": job.created_at.isoformat(),
        "images": [image_json(image, locale) for image in job.images],
        "strengths": list(job.strengths),
        "expected": job.expected,
    }


def update_json(update: JobUpdate, locale: str) -> Update:
    """One job as an event stream tells it, with its preview as a data URL."""
    preview = None
    if update.preview:
        preview = f"data:image/webp;base64,{base64.b64encode(update.preview).decode('ascii')}"
    return {**job_json(update.job, locale), "preview": preview}


def jobs_json(jobs: tuple[JobView, ...], locale: str) -> Jobs:
    """Answer to whoever started them: `id` is the first one's."""
    return {
        "id": jobs[0].id,
        "ids": [job.id for job in jobs],
        "jobs": [job_json(job, locale) for job in jobs],
    }


def page_json(page: GalleryPage, locale: str) -> Page:
    """A page of the gallery."""
    return {
        "images": [image_json(image, locale) for image in page.images],
        "cursor": told_cursor(page.next_cursor),
        "total": page.total,
        "capped": page.is_capped,
    }


def model_json(model: ModelInfo, *, is_default: bool) -> Model:
    """One model, as the page's menu shows it."""
    return {
        "name": model.name,
        "title": model.title,
        "description": model.description,
        "description_zh": model.description_zh,
        "licence": model.licence,
        "width": model.width,
        "height": model.height,
        "steps": model.steps,
        "guidance_scale": model.guidance_scale,
        "abilities": sorted(model.abilities),
        "default": is_default,
    }


def preset_json(preset: StylePreset) -> Preset:
    """One style preset."""
    return {
        "name": preset.name,
        "title": preset.title,
        "title_zh": preset.title_zh,
        "added": preset.added,
    }


def flag_json(flag: FlagSpec) -> Flag:
    """One flag of the grammar: what a control and its help need."""
    return {
        "name": flag.name,
        "aliases": list(flag.aliases),
        "kind": flag.kind,
        "usage": flag.usage,
        "allowed": flag.allowed,
        "summary": flag.summary,
        "summary_zh": flag.summary_zh,
    }
