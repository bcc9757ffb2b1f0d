"""/stylize: a picture in the look of others."""

import discord
from discord import app_commands

from bot.errors import NotFound
from bot.faces.discord.commands.choices import choice_of, complete_model, complete_style
from bot.faces.discord.components.restyle import restyle_in
from bot.faces.discord.face import Interaction
from bot.faces.discord.localisation import Words, described, phrase
from bot.faces.discord.submission import acknowledge
from bot.faces.discord.uploads import ID_MAX, fetch_upload, picture_of, require_one_of
from bot.studio.contract import Detail, Restyling, StyleChoice
from bot.studio.restyling import MAX_VARIATIONS, STRENGTHS, read_weighted, weighed
from bot.studio.stops import read_weights
from engine.api import MAX_SEED, KeepColour, StyleMethod

SIZE_MIN, SIZE_MAX = 64, 4096  # pixels of the longer side
CELLS_LENGTH_MAX = 60  # characters
STYLE_LENGTH_MAX = 60  # characters of a style's name and weight
WEIGHTS_LENGTH_MAX = 60  # characters


@app_commands.command(
    name=phrase("commands.stylize.name"), description=phrase("commands.stylize.description")
)
@app_commands.describe(
    **described(
        "stylize",
        "content",
        "id",
        "style",
        "style_image",
        "style_image2",
        "style2",
        "style3",
        "style4",
        "weights",
        "strength",
        "strengths",
        "method",
        "keep_colour",
        "size",
        "detail",
        "seed",
        "variations",
        "mask",
        "cells",
        "model",
        "private",
    )
)
@app_commands.choices(
    method=choice_of(*StyleMethod, prefix="commands.stylize.methods"),
    keep_colour=choice_of(*KeepColour, prefix="commands.stylize.colours"),
    detail=choice_of(*Detail, prefix="commands.stylize.details"),
)
@app_commands.autocomplete(
    style=complete_style,
    style2=complete_style,
    style3=complete_style,
    style4=complete_style,
    model=complete_model,
)
@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
async def stylize(
    interaction: Interaction,
    content: discord.Attachment | None = None,
    id: app_commands.Range[str, 1, ID_MAX] | None = None,  # noqa: A002
    style: app_commands.Range[str, 1, STYLE_LENGTH_MAX] | None = None,
    style_image: discord.Attachment | None = None,
    style2: app_commands.Range[str, 1, STYLE_LENGTH_MAX] | None = None,
    style3: app_commands.Range[str, 1, STYLE_LENGTH_MAX] | None = None,
    style4: app_commands.Range[str, 1, STYLE_LENGTH_MAX] | None = None,
    style_image2: discord.Attachment | None = None,
    weights: app_commands.Range[str, 1, WEIGHTS_LENGTH_MAX] | None = None,
    strength: app_commands.Range[float, 0.0, 1.0] = 1.0,
    method: app_commands.Choice[str] | None = None,
    keep_colour: app_commands.Choice[str] | None = None,
    size: app_commands.Range[int, SIZE_MIN, SIZE_MAX] | None = None,
    detail: app_commands.Choice[str] | None = None,
    seed: app_commands.Range[int, 0, MAX_SEED] | None = None,
    variations: app_commands.Range[int, 1, MAX_VARIATIONS] = 1,
    mask: discord.Attachment | None = None,
    cells: app_commands.Range[str, 2, CELLS_LENGTH_MAX] | None = None,
    model: str | None = None,
    strengths: bool = False,  # noqa: FBT001, FBT002
    private: bool | None = None,  # noqa: FBT001
) -> None:
    """Restyle the content; the look may be a picture, a name, or several of both."""
    require_one_of(interaction, content=content, id=id)
    answer = await acknowledge(interaction, is_secret=bool(private))
    named = [name for name in (style, style2, style3, style4) if name]
    attached = [one for one in (style_image, style_image2) if one is not None]
    if not named and not attached:
        raise NotFound(Words(interaction.locale.value)("restyle.no_style"))
    mixture = read_weights(weights or "")
    picture = await picture_of(interaction, content, id)
    if isinstance(picture, str):
        await answer.hide_like(picture)
    styles = [choice_named(name) for name in named]
    styles += [StyleChoice(upload=await fetch_upload(interaction, one)) for one in attached]
    asked = Restyling(
        strength=strength,
        strengths=STRENGTHS if strengths else (),
        method=StyleMethod(method.value) if method else StyleMethod.FAST,
        detail=Detail(detail.value) if detail else Detail.NORMAL,
        keep_colour=KeepColour(keep_colour.value) if keep_colour else KeepColour.NO,
        size=size or 0,
        seed=seed,
        variations=variations,
        mask=await fetch_upload(interaction, mask) if mask else b"",
        cells=cells or "",
        model=model,
        is_private=private,
    )
    await restyle_in(answer, picture, weighed(styles, mixture), asked)


def choice_named(text: str) -> StyleChoice:
    """The style of a name that may have its weight after a colon."""
    name, weight = read_weighted(text)
    return StyleChoice(name=name, weight=weight)
