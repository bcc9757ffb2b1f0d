"""/imagine: pictures from words."""

from pathlib import PurePosixPath

import discord
from discord import app_commands

from bot.faces.discord.commands.choices import (
    aspects,
    complete_model,
    complete_preset,
    known_preset,
)
from bot.faces.discord.components.confirmation import Picture, Wish, imagine_in
from bot.faces.discord.components.reroll import PROMPT_MAX
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words, described, phrase
from bot.faces.discord.submission import acknowledge, stated_privacy
from bot.faces.discord.uploads import ID_MAX, fetch_upload, require_one_of, typed_id
from engine.api import MAX_SEED

COUNT_MAX = 4  # images of one job


@app_commands.command(
    name=phrase("commands.imagine.name"), description=phrase("commands.imagine.description")
)
@app_commands.describe(
    **described(
        "imagine",
        "prompt",
        "image",
        "image_id",
        "style",
        "model",
        "preset",
        "aspect",
        "count",
        "seed",
        "private",
    )
)
@app_commands.choices(aspect=aspects())
@app_commands.autocomplete(model=complete_model, preset=complete_preset)
@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
async def imagine(
    interaction: Interaction,
    prompt: app_commands.Range[str, 1, PROMPT_MAX],
    image: discord.Attachment | None = None,
    image_id: app_commands.Range[str, 1, ID_MAX] | None = None,
    style: discord.Attachment | None = None,
    model: str | None = None,
    preset: str | None = None,
    aspect: app_commands.Choice[str] | None = None,
    count: app_commands.Range[int, 1, COUNT_MAX] | None = None,
    seed: app_commands.Range[int, 0, MAX_SEED] | None = None,
    private: bool | None = None,  # noqa: FBT001
) -> None:
    """Make images from a prompt; options become flags of its grammar."""
    require_one_of(interaction, image=image, image_id=image_id)
    said = stated_privacy(prompt)
    answer = await acknowledge(interaction, is_secret=bool(private if said is None else said))
    text = with_flags(
        prompt,
        {
            "preset": known_preset(preset, Words(interaction.locale.value)),
            "model": model,
            "ar": aspect.value if aspect else None,
            "images": count,
            "seed": seed,
        },
    )
    wish = Wish(
        text=text,
        source=await _fetched(interaction, image, "source"),
        source_id=await _known_id(interaction, image_id) if image_id else "",
        style=await _fetched(interaction, style, "style"),
        is_private=private,
    )
    await imagine_in(answer, wish)


def with_flags(text: str, flags: dict[str, str | int | None]) -> str:
    """The prompt with flags for the options that were given."""
    given = (f"--{name} {value}" for name, value in flags.items() if value is not None)
    return " ".join([text.strip(), *given])


async def _known_id(interaction: Interaction, typed: str) -> str:
    """The id of an image of the gallery, by its id or place as typed."""
    studio = interaction.client.studio
    return (await studio.image(caller_of(interaction), typed_id(typed))).id


async def _fetched(
    interaction: Interaction, attachment: discord.Attachment | None, stem: str
) -> Picture | None:
    if attachment is None:
        return None
    suffix = PurePosixPath(attachment.filename).suffix.lower() or ".png"
    return Picture(await fetch_upload(interaction, attachment), f"{stem}{suffix}")
