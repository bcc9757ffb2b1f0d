"""Everything members can type, press and fill in; a new command is one more line here."""

import copy
from collections.abc import Iterator
from typing import Any, TypeAlias

import discord
from discord import app_commands

from bot.faces.discord.commands.admin import AdminCommands
from bot.faces.discord.commands.gallery import gallery, show
from bot.faces.discord.commands.imagine import imagine
from bot.faces.discord.commands.info import help_command, info
from bot.faces.discord.commands.jobs import cancel, history, queue
from bot.faces.discord.commands.menus import make_again, message_info, restyle, use_as_style
from bot.faces.discord.commands.mixing import blend, dream, morph, upscale
from bot.faces.discord.commands.privacy import PrivacyCommands
from bot.faces.discord.commands.settings import settings
from bot.faces.discord.commands.styles import StyleCommands
from bot.faces.discord.commands.stylize import stylize
from bot.faces.discord.commands.training import TrainCommands
from bot.faces.discord.components.cancel import CancelButton
from bot.faces.discord.components.confirmation import ConfirmButton, DismissButton
from bot.faces.discord.components.details import InfoButton, JobInfoButton
from bot.faces.discord.components.erasing import EraseButton
from bot.faces.discord.components.flags_page import AllFlagsButton
from bot.faces.discord.components.forgetting import (
    ForgetGeneratorButton,
    ForgetStyleButton,
    SpareButton,
)
from bot.faces.discord.components.gallery_pages import OpenMenu, PageMenu, TurnButton
from bot.faces.discord.components.history_pages import OlderJobsButton
from bot.faces.discord.components.keeping import (
    DeleteAllButton,
    DeleteButton,
    FavouriteButton,
    PickButton,
    RestoreAllButton,
    RestoreButton,
)
from bot.faces.discord.components.privacy import (
    HideAllButton,
    HideButton,
    LockAllButton,
    LockButton,
)
from bot.faces.discord.components.reroll import REMIX_FORM, RemixButton, RerollButton
from bot.faces.discord.components.restyle import (
    LookMenu,
    RestyleButton,
    RestylePickButton,
    SecretRestyleButton,
)
from bot.faces.discord.components.strength_menu import StrengthMenu
from bot.faces.discord.components.strengths import StrengthsButton
from bot.faces.discord.components.style import STYLE_FORM, DrawInStyleButton
from bot.faces.discord.components.variations import UpscaleButton, VaryButton, VaryMenu
from bot.faces.discord.forms import FormAnswer

Command: TypeAlias = (
    app_commands.Command[Any, ..., Any] | app_commands.Group | app_commands.ContextMenu
)

COMMANDS: tuple[Command, ...] = (
    imagine,
    stylize,
    blend,
    dream,
    morph,
    upscale,
    gallery,
    show,
    history,
    queue,
    cancel,
    settings,
    info,
    help_command,
    StyleCommands(),
    TrainCommands(),
    PrivacyCommands(),
    AdminCommands(),
    make_again,
    restyle,
    use_as_style,
    message_info,
)


def commands_for(*, servers_only: bool) -> Iterator[Command]:
    """All commands; with `servers_only` none of them can be typed anywhere else."""
    for command in COMMANDS:
        if not servers_only:
            yield command
            continue
        limited = copy.copy(command)  # others may offer the same ones everywhere
        limited.allowed_contexts = app_commands.AppCommandContext(guild=True)
        limited.allowed_installs = app_commands.AppInstallationType(guild=True)
        yield limited


BUTTONS: tuple[type[discord.ui.DynamicItem[Any]], ...] = (
    AllFlagsButton,
    CancelButton,
    ConfirmButton,
    DeleteAllButton,
    DeleteButton,
    DismissButton,
    DrawInStyleButton,
    EraseButton,
    FavouriteButton,
    ForgetGeneratorButton,
    ForgetStyleButton,
    HideAllButton,
    HideButton,
    InfoButton,
    JobInfoButton,
    LockAllButton,
    LockButton,
    LookMenu,
    OlderJobsButton,
    OpenMenu,
    PageMenu,
    PickButton,
    RemixButton,
    RerollButton,
    RestoreAllButton,
    RestoreButton,
    RestyleButton,
    RestylePickButton,
    SecretRestyleButton,
    SpareButton,
    StrengthMenu,
    StrengthsButton,
    TurnButton,
    UpscaleButton,
    VaryButton,
    VaryMenu,
)

FORMS: tuple[FormAnswer, ...] = (REMIX_FORM, STYLE_FORM)
