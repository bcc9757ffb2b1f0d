"""/train: generators that learn from a gallery, for `/dream`."""

import discord
from discord import app_commands

from bot.faces.discord.addresses import file_limit
from bot.faces.discord.cards import Shown, card
from bot.faces.discord.commands.choices import choice_of, complete_generator
from bot.faces.discord.components.forgetting import ForgetGeneratorButton, ask_to_forget
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words, described, phrase
from bot.faces.discord.pictures import fitting_upload
from bot.faces.discord.submission import acknowledge
from bot.studio.contract import (
    Caller,
    Destination,
    GalleryScope,
    GeneratorView,
    JobView,
    Teaching,
)
from bot.studio.house import as_style_name
from bot.wording import translated

NAME_MAX = 40  # characters
WORDS_MAX = 200  # characters of a search
MINUTES_MAX = 24 * 60
SHOWN = 25  # generators in a list
_WHOSE = {"mine": GalleryScope.MINE, "server": GalleryScope.GUILD}


class TrainCommands(app_commands.Group):
    """Generators of a server; by default for those who may manage it."""

    def __init__(self) -> None:
        super().__init__(
            name=phrase("commands.train.name"),
            description=phrase("commands.train.description"),
            guild_only=True,
            default_permissions=discord.Permissions(manage_guild=True),
        )

    @app_commands.command(
        name=phrase("commands.train-gan.name"),
        description=phrase("commands.train-gan.description"),
    )
    @app_commands.describe(
        **described("train-gan", "name", "whose", "favourites", "words", "minutes")
    )
    @app_commands.choices(whose=choice_of(*_WHOSE, prefix="commands.train-gan.whose"))
    async def gan(
        self,
        interaction: Interaction,
        name: app_commands.Range[str, 1, NAME_MAX],
        whose: str = "mine",
        favourites: bool = False,  # noqa: FBT001, FBT002
        words: app_commands.Range[str, 1, WORDS_MAX] | None = None,
        minutes: app_commands.Range[int, 1, MINUTES_MAX] | None = None,
    ) -> None:
        """Let a generator learn what pictures have in common, while nothing else is drawn."""
        answer = await acknowledge(interaction, is_secret=True)
        studio = interaction.client.studio
        teaching = Teaching(
            name=name,
            scope=_WHOSE.get(whose, GalleryScope.MINE),
            words=words or "",
            favourites_only=favourites,
            minutes=minutes,
        )

        async def submit(caller: Caller, destination: Destination) -> tuple[JobView, ...]:
            return (await studio.train_gan(caller, teaching, destination),)

        await answer.run(submit)

    @app_commands.command(
        name=phrase("commands.train-list.name"),
        description=phrase("commands.train-list.description"),
    )
    async def list(self, interaction: Interaction) -> None:
        """List what was trained here."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        words = Words(interaction.locale.value)
        found = await interaction.client.studio.generators(caller_of(interaction))
        lines = [_line(words, one) for one in found[:SHOWN]]
        text = "\n".join(lines) or words("train.none")
        await interaction.edit_original_response(view=card(words("train.own"), text))

    @app_commands.command(
        name=phrase("commands.train-show.name"),
        description=phrase("commands.train-show.description"),
    )
    @app_commands.describe(**described("train-show", "name"))
    @app_commands.autocomplete(name=complete_generator)
    async def show(self, interaction: Interaction, name: str) -> None:
        """Show what a generator dreams, and what the monitors say of it."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        words, caller = Words(interaction.locale.value), caller_of(interaction)
        studio, wanted = interaction.client.studio, as_style_name(name)
        png = await studio.generator_png(caller, name)
        found = await studio.generators(caller)
        lines = [_line(words, one) for one in found if one.name == wanted]
        upload = await fitting_upload(png, file_limit(interaction))
        shown = []
        if upload is not None:
            alt_text = words("train.alt", name=wanted)
            shown = [Shown(upload.data, f"generator.{upload.suffix}", alt_text)]
        view = card(*lines, words("train.use", name=wanted), pictures=shown)
        await interaction.edit_original_response(
            view=view, attachments=[picture.file() for picture in shown]
        )

    @app_commands.command(
        name=phrase("commands.train-delete.name"),
        description=phrase("commands.train-delete.description"),
    )
    @app_commands.describe(**described("train-delete", "name"))
    @app_commands.autocomplete(name=complete_generator)
    async def delete(self, interaction: Interaction, name: str) -> None:
        """Ask whether a generator shall be forgotten; the button does it."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        words, caller = Words(interaction.locale.value), caller_of(interaction)
        studio, wanted = interaction.client.studio, as_style_name(name)
        if any(one.name == wanted for one in await studio.generators(caller)):
            button = ForgetGeneratorButton(wanted, words("buttons.forget"))
            await ask_to_forget(interaction, button, wanted)
            return
        await studio.delete_generator(caller, name)  # says that there is none


def _line(words: Words, generator: GeneratorView) -> str:
    verdict = translated(generator.verdict, words.language)
    facts = words("train.line", name=generator.name, count=generator.pictures)
    return f"{facts} {verdict}"
