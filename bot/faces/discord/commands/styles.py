"""/style: the looks a member keeps by name, and the steps between two of them."""

import logging
from collections.abc import Sequence

import discord
from discord import app_commands

from bot.errors import NotFound
from bot.faces.discord.addresses import file_limit
from bot.faces.discord.cards import TEXT_MAX, Shown, card, lines_within
from bot.faces.discord.commands.choices import (
    complete_own_style,
    complete_shared_style,
    complete_style,
)
from bot.faces.discord.commands.stylize import STYLE_LENGTH_MAX, choice_named
from bot.faces.discord.components.forgetting import ForgetStyleButton, ask_to_forget
from bot.faces.discord.components.restyle import blend_in, saved_styles
from bot.faces.discord.components.style import DrawInStyleButton
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words, described, phrase
from bot.faces.discord.pictures import fitting_upload, lost_picture, small_sheet
from bot.faces.discord.submission import acknowledge
from bot.faces.discord.uploads import ID_MAX, fetch_upload, picture_of, require_one_of
from bot.studio.contract import Caller, Destination, JobView, Restyling, StyleView
from bot.studio.house import as_style_name
from bot.wording import translated

log = logging.getLogger(__name__)

NAME_MAX = 40  # characters
PICTURED = 16  # saved styles of a list with a picture


class StyleCommands(app_commands.Group):
    """A library of looks."""

    def __init__(self) -> None:
        super().__init__(
            name=phrase("commands.style.name"),
            description=phrase("commands.style.description"),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=True),
            allowed_contexts=app_commands.AppCommandContext(
                guild=True, dm_channel=True, private_channel=True
            ),
        )

    @app_commands.command(
        name=phrase("commands.style-save.name"),
        description=phrase("commands.style-save.description"),
    )
    @app_commands.describe(**described("style-save", "name", "picture", "id", "replace"))
    async def save(
        self,
        interaction: Interaction,
        name: app_commands.Range[str, 1, NAME_MAX],
        picture: discord.Attachment | None = None,
        id: app_commands.Range[str, 1, ID_MAX] | None = None,  # noqa: A002
        replace: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        """Keep a picture's look, in place of an older one of that name."""
        require_one_of(interaction, picture=picture, id=id)
        await interaction.response.defer(thinking=True, ephemeral=True)
        words, caller = Words(interaction.locale.value), caller_of(interaction)
        look = await picture_of(interaction, picture, id)
        lost = await interaction.client.studio.save_style(caller, name, look, replacing=replace)
        kept = as_style_name(name)
        button = DrawInStyleButton(kept, words("buttons.draw_in_style"))
        texts = [words("style.kept", name=kept), translated(lost, words.language)]
        view = card(*filter(None, texts), rows=[[button]])
        await interaction.edit_original_response(view=view)

    @app_commands.command(
        name=phrase("commands.style-train.name"),
        description=phrase("commands.style-train.description"),
    )
    @app_commands.describe(**described("style-train", "name", "picture", "id", "replace"))
    @app_commands.autocomplete(name=complete_own_style)
    async def train(
        self,
        interaction: Interaction,
        name: app_commands.Range[str, 1, NAME_MAX],
        picture: discord.Attachment | None = None,
        id: app_commands.Range[str, 1, ID_MAX] | None = None,  # noqa: A002
        replace: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        """Let the fast network learn a look, with progress, while nothing else is to be done.

        Without a picture it is the one that is kept under the name.
        """
        require_one_of(interaction, picture=picture, id=id)
        answer = await acknowledge(interaction, is_secret=True)
        look = await picture_of(interaction, picture, id) if picture or id else None
        studio = interaction.client.studio

        async def submit(caller: Caller, destination: Destination) -> tuple[JobView, ...]:
            job = await studio.train_style(caller, name, look, destination, replacing=replace)
            return (job,)

        await answer.run(submit)

    @app_commands.command(
        name=phrase("commands.style-list.name"),
        description=phrase("commands.style-list.description"),
    )
    async def list(self, interaction: Interaction) -> None:
        """List what may be named as a style, with small pictures in the same order."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        words, caller = Words(interaction.locale.value), caller_of(interaction)
        styles = await interaction.client.studio.styles(caller)
        saved = saved_styles(styles, caller.owner_id)
        shipped = [style for style in styles if style.is_preset]
        lines = [_line(words, style, caller.owner_id) for style in saved]
        painted = "\n".join(f"`{style.name}` {style.title}" for style in shipped)
        title, shipped_title = words("style.own"), words("style.shipped")
        left = TEXT_MAX - len(title + shipped_title + painted)
        own = lines_within(lines, left, lambda count: words("style.more", count=count))
        texts = (title, own or words("style.none"), shipped_title, painted)
        pictures = [
            await _sheet(interaction, some, f"{name}.webp", words(f"style.{name}_alt"))
            for name, some in (("own", saved[:PICTURED]), ("shipped", shipped))
            if some
        ]
        await interaction.edit_original_response(
            view=card(*texts, pictures=pictures),
            attachments=[picture.file() for picture in pictures],
        )

    @app_commands.command(
        name=phrase("commands.style-show.name"),
        description=phrase("commands.style-show.description"),
    )
    @app_commands.describe(**described("style-show", "name"))
    @app_commands.autocomplete(name=complete_style)
    async def show(self, interaction: Interaction, name: str) -> None:
        """Show the picture of a style, to this member alone."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        words, caller = Words(interaction.locale.value), caller_of(interaction)
        studio = interaction.client.studio
        png = await studio.style_png(caller, name)
        named = as_style_name(name)
        titles = {style.name: style.title for style in await studio.styles(caller)}
        title = titles.get(named, named)
        upload = await fitting_upload(png, file_limit(interaction))
        shown = []
        if upload is not None:
            alt_text = words("style.alt", name=title)
            shown = [Shown(upload.data, f"style.{upload.suffix}", alt_text)]
        view = card(f"**{title}**", words("style.usage", name=named), pictures=shown)
        await interaction.edit_original_response(
            view=view, attachments=[picture.file() for picture in shown]
        )

    @app_commands.command(
        name=phrase("commands.style-share.name"),
        description=phrase("commands.style-share.description"),
    )
    @app_commands.describe(**described("style-share", "name", "shared"))
    @app_commands.autocomplete(name=complete_shared_style)
    async def share(
        self,
        interaction: Interaction,
        name: str,
        shared: bool = True,  # noqa: FBT001, FBT002
    ) -> None:
        """Let the server use a style, or no more."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        words = Words(interaction.locale.value)
        await interaction.client.studio.share_style(caller_of(interaction), name, on=shared)
        text = words("style.shared" if shared else "style.unshared", name=name)
        await interaction.edit_original_response(content=text)

    @app_commands.command(
        name=phrase("commands.style-rename.name"),
        description=phrase("commands.style-rename.description"),
    )
    @app_commands.describe(**described("style-rename", "name", "new_name"))
    @app_commands.autocomplete(name=complete_own_style)
    async def rename(
        self,
        interaction: Interaction,
        name: str,
        new_name: app_commands.Range[str, 1, NAME_MAX],
    ) -> None:
        """Call a style otherwise; it stays shared and learnt."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        words = Words(interaction.locale.value)
        await interaction.client.studio.rename_style(caller_of(interaction), name, new_name)
        text = words("style.renamed", name=name, new_name=as_style_name(new_name))
        await interaction.edit_original_response(content=text)

    @app_commands.command(
        name=phrase("commands.style-delete.name"),
        description=phrase("commands.style-delete.description"),
    )
    @app_commands.describe(**described("style-delete", "name"))
    @app_commands.autocomplete(name=complete_own_style)
    async def delete(self, interaction: Interaction, name: str) -> None:
        """Forget a style; where something was learnt from it, ask first."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        words, caller = Words(interaction.locale.value), caller_of(interaction)
        studio, wanted = interaction.client.studio, as_style_name(name)
        own = [one for one in await studio.styles(caller) if one.owner_id == caller.owner_id]
        if any(one.name == wanted and one.is_trained for one in own):
            button = ForgetStyleButton(wanted, words("buttons.forget"))
            await ask_to_forget(interaction, button, wanted)
            return
        await studio.delete_style(caller, name)
        await interaction.edit_original_response(content=words("style.deleted", name=name))

    @app_commands.command(
        name=phrase("commands.style-blend.name"),
        description=phrase("commands.style-blend.description"),
    )
    @app_commands.describe(
        **described("style-blend", "first", "second", "share", "content", "strength", "private")
    )
    @app_commands.autocomplete(first=complete_style, second=complete_style)
    async def blend(
        self,
        interaction: Interaction,
        first: app_commands.Range[str, 1, STYLE_LENGTH_MAX],
        second: app_commands.Range[str, 1, STYLE_LENGTH_MAX],
        share: app_commands.Range[float, 0.0, 1.0] = 0.5,
        content: discord.Attachment | None = None,
        strength: app_commands.Range[float, 0.0, 1.0] = 1.0,
        private: bool | None = None,  # noqa: FBT001
    ) -> None:
        """Show five steps from one style to another, on a picture or the newest one."""
        answer = await acknowledge(interaction, is_secret=bool(private))
        picture = await fetch_upload(interaction, content) if content else None
        asked = Restyling(strength=strength, is_private=private)
        pair = (choice_named(first), choice_named(second))
        await blend_in(answer, picture, pair, asked, share)


async def _sheet(
    interaction: Interaction, styles: Sequence[StyleView], filename: str, alt_text: str
) -> Shown:
    small = [await _thumbnail(interaction, style.name) for style in styles]
    return Shown(await small_sheet(small), filename, alt_text)


async def _thumbnail(interaction: Interaction, name: str) -> bytes:
    """The small picture of a style; a grey square where its file is gone."""
    try:
        return await interaction.client.studio.style_thumbnail(caller_of(interaction), name)
    except NotFound as error:
        log.warning("style %s can't be shown: %s", name, error)
        return lost_picture()


def _line(words: Words, style: StyleView, owner_id: int) -> str:
    notes = [f"`{style.name}`"]
    if style.is_trained:
        notes.append(words("style.outdated" if style.is_outdated else "style.trained"))
    if style.owner_id != owner_id:
        notes.append(words("style.of_server"))
    elif style.is_shared:
        notes.append(words("style.is_shared"))
    return " ".join(notes)
