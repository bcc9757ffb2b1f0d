"""/gallery and /show: pictures that are already there."""

import asyncio
from contextlib import suppress

import discord
from discord import app_commands

from bot.errors import NotAllowed
from bot.faces.discord.commands.choices import choice_of, complete_model
from bot.faces.discord.components.gallery_pages import GalleryView, show_image, show_page
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words, described, phrase
from bot.faces.discord.places import check_place
from bot.faces.discord.uploads import ID_MAX, typed_id
from bot.studio.contract import GalleryScope

LOOKED_UP_S = 1.5  # half of the time in which an answer must have begun
SEARCH_MAX = 200  # characters


@app_commands.command(
    name=phrase("commands.gallery.name"), description=phrase("commands.gallery.description")
)
@app_commands.describe(**described("gallery", "whose", "member", "search", "model", "favourites"))
@app_commands.choices(whose=choice_of("mine", "guild", prefix="commands.gallery.whose"))
@app_commands.autocomplete(model=complete_model)
@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
async def gallery(
    interaction: Interaction,
    whose: app_commands.Choice[str] | None = None,
    member: discord.User | None = None,
    search: app_commands.Range[str, 1, SEARCH_MAX] | None = None,
    model: str | None = None,
    favourites: bool = False,  # noqa: FBT001, FBT002
) -> None:
    """Show the first page to this member alone."""
    await interaction.response.defer(thinking=True, ephemeral=True)
    usual = GalleryScope.ALL if favourites else GalleryScope.MINE
    scope = GalleryScope.MEMBER if member else GalleryScope(whose.value if whose else usual)
    if scope is GalleryScope.GUILD and interaction.guild_id is None:
        raise NotAllowed(Words(interaction.locale.value)("gallery.no_guild"))
    words = [search or "", f"model:{model}" if model else ""]
    view = GalleryView(
        scope=scope,
        member_id=member.id if member else 0,
        is_favourites=favourites,
        text=" ".join(word.strip() for word in words if word.strip()),
    )
    await show_page(interaction, view)


@app_commands.command(
    name=phrase("commands.show.name"), description=phrase("commands.show.description")
)
@app_commands.describe(**described("show", "id"))
@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
async def show(interaction: Interaction, id: app_commands.Range[str, 1, ID_MAX]) -> None:  # noqa: A002
    """Show one picture; one that is private, or long in coming, to this member alone."""
    check_place(interaction)
    studio, caller, is_public = interaction.client.studio, caller_of(interaction), False
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOKED_UP_S):
            is_public = not (await studio.image(caller, typed_id(id))).is_private
    await interaction.response.defer(thinking=True, ephemeral=not is_public)
    await show_image(interaction, typed_id(id))
