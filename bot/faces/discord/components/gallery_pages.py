"""Pages of the gallery: turning them, and opening a picture.

A page is a message that only its reader sees. What it shows is written in it: whose pictures in the
custom_ids, the filter as a numbered text, and the way back as the options of a menu, since the
gallery's cursors lead forward alone.
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import discord

from bot.errors import NotFound, UserError
from bot.faces.discord.addresses import file_limit
from bot.faces.discord.cards import (
    BLUE,
    Row,
    Shown,
    gallery_of,
    image_alt_text,
    image_card,
    shortened,
    text_of,
)
from bot.faces.discord.components.lasting import LastingButton, LastingMenu
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.image_controls import image_controls
from bot.faces.discord.localisation import Words
from bot.faces.discord.pictures import fitting_animation, fitting_upload, lost_picture
from bot.studio.contract import (
    Caller,
    GalleryPage,
    GalleryQuery,
    GalleryScope,
    ImageView,
    Studio,
)

log = logging.getLogger(__name__)

PICTURES = 9  # of a page; a gallery component takes ten
FILTER_TEXT_ID = 9002
PAGES_KEPT = 24  # ways back; a menu takes 25 options
CURSOR_MAX = 90  # characters; an option's value takes 100
_VIEW = r"(?P<scope>mine|member|guild|all):(?P<member>\d{1,20}):(?P<favourites>[01])"
_FIRST = "-"  # the cursor of the first page
_FILTER_PREFIX = "-# 🔎 "


@dataclass(frozen=True, kw_only=True, slots=True)
class GalleryView:
    """What a reader looks at, and the cursors of all pages up to the one shown."""

    scope: GalleryScope
    member_id: int = 0
    is_favourites: bool = False
    text: str = ""  # the studio's own grammar: words, model:..., seed:...
    cursors: tuple[str, ...] = (_FIRST,)
    first_number: int = 1  # of the first cursor's page

    @property
    def key(self) -> str:
        """All but text and cursors, as it stands in custom_ids."""
        return f"{self.scope.value}:{self.member_id}:{int(self.is_favourites)}"

    @property
    def number(self) -> int:
        """Of the page shown, from 1."""
        return self.first_number + len(self.cursors) - 1

    def query(self) -> GalleryQuery:
        """The page shown, as the studio is asked for it."""
        cursor = self.cursors[-1]
        return GalleryQuery(
            scope=self.scope,
            member_id=self.member_id or None,
            text=self.text,
            favourites_only=self.is_favourites,
            cursor=None if cursor == _FIRST else cursor,
            limit=PICTURES,
        )

    def forward(self, cursor: str) -> "GalleryView":
        """The page after this one."""
        cursors = (*self.cursors, cursor)[-PAGES_KEPT:]
        dropped = len(self.cursors) + 1 - len(cursors)
        return replace(self, cursors=cursors, first_number=self.first_number + dropped)

    def at(self, number: int) -> "GalleryView":
        """A page already seen."""
        return replace(self, cursors=self.cursors[: number - self.first_number + 1])


def view_of(match: re.Match[str]) -> GalleryView:
    """What a custom_id says of a page."""
    return GalleryView(
        scope=GalleryScope(match["scope"]),
        member_id=int(match["member"]),
        is_favourites=match["favourites"] == "1",
    )


async def show_page(interaction: Interaction, view: GalleryView) -> None:
    """Turn the acknowledged answer into a page."""
    words = Words(interaction.locale.value)
    studio, caller = interaction.client.studio, caller_of(interaction)
    page = await studio.gallery(caller, view.query())
    thumbnails = await asyncio.gather(*(_thumbnail(studio, caller, one) for one in page.images))
    shown = [
        Shown(data or lost_picture(), f"{image.id}.webp", image_alt_text(words, image))
        for image, data in zip(page.images, thumbnails, strict=True)
    ]
    lost = [image.id for image, data in zip(page.images, thumbnails, strict=True) if not data]
    layout = page_layout(words, view, page, shown, lost)
    await interaction.edit_original_response(
        view=layout, attachments=[picture.file() for picture in shown]
    )


async def _thumbnail(studio: Studio, caller: Caller, image: ImageView) -> bytes | None:
    try:
        return await studio.thumbnail(caller, image.id)
    except NotFound as error:
        log.warning("image %s can't be shown: %s", image.id, error)
        return None


def _count_name(page: GalleryPage) -> str:
    if page.is_capped:
        return "count_many"
    return "count_one" if page.total == 1 else "count"


def page_layout(
    words: Words,
    view: GalleryView,
    page: GalleryPage,
    shown: Sequence[Shown],
    lost: Sequence[str] = (),
) -> discord.ui.LayoutView:
    """The message of a page; `lost` are the ids of images whose files are gone."""
    member = f"<@{view.member_id}>"
    title = words(f"gallery.title_{view.scope.value}", member=member)
    facts = [
        words(f"gallery.{_count_name(page)}", total=page.total),
        words("gallery.page", number=view.number),
    ]
    parts: list[discord.ui.Item[Any]] = [discord.ui.TextDisplay(f"{title}\n-# {' · '.join(facts)}")]
    if view.text:
        parts.append(discord.ui.TextDisplay(f"{_FILTER_PREFIX}{view.text}", id=FILTER_TEXT_ID))
    if shown:
        parts.append(gallery_of(shown))
    else:
        nothing = "gallery.unmatched" if view.text else "gallery.empty"
        parts.append(discord.ui.TextDisplay(words(nothing)))
    if lost:
        ids = ", ".join(f"`{image_id}`" for image_id in lost)
        parts.append(discord.ui.TextDisplay(f"-# {words('gallery.lost', ids=ids)}"))
    parts.extend(discord.ui.ActionRow(*row) for row in _page_controls(words, view, page))
    layout = discord.ui.LayoutView(timeout=None)
    layout.add_item(discord.ui.Container(*parts, accent_colour=BLUE))
    return layout


def _page_controls(words: Words, view: GalleryView, page: GalleryPage) -> list[Row]:
    rows: list[Row] = []
    if page.images:
        rows.append([OpenMenu(_picture_options(page.images), words("gallery.open"))])
    if len(view.cursors) > 1:
        rows.append([PageMenu(view.key, _page_options(words, view), words("gallery.go"))])
    turning: list[discord.ui.Item[Any]] = []
    if len(view.cursors) > 1:
        turning.append(TurnButton(view.key, "back", "", words("buttons.previous")))
    if page.next_cursor and len(page.next_cursor) <= CURSOR_MAX:
        turning.append(TurnButton(view.key, "next", page.next_cursor, words("buttons.next")))
    return [*rows, turning] if turning else rows


def _picture_options(images: Sequence[ImageView]) -> list[discord.SelectOption]:
    return [
        discord.SelectOption(
            label=shortened(f"{place}. {image.prompt}", 100),
            value=image.id,
            description=f"{image.id} · {image.width}×{image.height}",
            emoji="❤️" if image.is_favourite else None,
        )
        for place, image in enumerate(images, start=1)
    ]


def _page_options(words: Words, view: GalleryView) -> list[discord.SelectOption]:
    return [
        discord.SelectOption(
            label=words("gallery.page_option", number=view.first_number + place),
            value=f"{view.first_number + place}:{cursor}",
            default=place == len(view.cursors) - 1,
        )
        for place, cursor in enumerate(view.cursors)
    ]


def view_in(interaction: Interaction, view: GalleryView) -> GalleryView:
    """The view with what its message remembers: the filter and the pages seen."""
    message = interaction.message
    if message is None:
        raise UserError(Words(interaction.locale.value)("gallery.gone"))
    text = text_of(message, FILTER_TEXT_ID).removeprefix(_FILTER_PREFIX)
    values = _option_values(message.components, f"pages:{view.key}")
    if not values:
        return replace(view, text=text)
    numbers, cursors = zip(*(value.split(":", 1) for value in values), strict=True)
    return replace(view, text=text, cursors=cursors, first_number=int(numbers[0]))


def _option_values(components: Sequence[Any], custom_id: str) -> list[str]:
    for component in components:
        if isinstance(component, discord.SelectMenu) and component.custom_id == custom_id:
            return [option.value for option in component.options]
        found = _option_values(getattr(component, "children", ()), custom_id)
        if found:
            return found
    return []


class TurnButton(LastingButton, template=rf"turn:(?P<way>next|back):{_VIEW}:(?P<cursor>.*)"):
    """Turns a page."""

    def __init__(self, key: str, way: str, cursor: str, label: str) -> None:
        custom_id = f"turn:{way}:{key}:{cursor}"
        super().__init__(discord.ui.Button(label=label, custom_id=custom_id))
        self.way = way
        self.cursor = cursor
        self.view_key = key

    @classmethod
    def restored(cls, match: re.Match[str], label: str) -> Self:
        """The button of an earlier message."""
        return cls(view_of(match).key, match["way"], match["cursor"], label)

    async def pressed(self, interaction: Interaction) -> None:
        """Show the page before or after."""
        view = view_in(interaction, _keyed(self.view_key))
        await interaction.response.defer()
        if self.way == "next":
            view = view.forward(self.cursor)
        elif len(view.cursors) > 1:
            view = view.at(view.number - 1)
        await show_page(interaction, view)


class PageMenu(LastingMenu, template=f"pages:{_VIEW}"):
    """Goes back to any page seen."""

    def __init__(
        self, key: str, options: list[discord.SelectOption], placeholder: str = ""
    ) -> None:
        super().__init__(
            discord.ui.Select(
                custom_id=f"pages:{key}", options=options, placeholder=placeholder or None
            )
        )
        self.view_key = key

    @classmethod
    def restored(cls, match: re.Match[str], options: list[discord.SelectOption]) -> Self:
        """The menu of an earlier message."""
        return cls(view_of(match).key, options)

    async def chosen(self, interaction: Interaction, value: str) -> None:
        """Show that page."""
        view = view_in(interaction, _keyed(self.view_key))
        await interaction.response.defer()
        await show_page(interaction, view.at(int(value.split(":", 1)[0])))


class OpenMenu(LastingMenu, template="open"):
    """Opens one picture of a page, with all its buttons."""

    def __init__(self, options: list[discord.SelectOption], placeholder: str = "") -> None:
        super().__init__(
            discord.ui.Select(custom_id="open", options=options, placeholder=placeholder or None)
        )

    @classmethod
    def restored(cls, match: re.Match[str], options: list[discord.SelectOption]) -> Self:  # noqa: ARG003
        """The menu of an earlier message."""
        return cls(options)

    async def chosen(self, interaction: Interaction, value: str) -> None:
        """Show the picture to this member alone."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        await show_image(interaction, value)


async def show_image(interaction: Interaction, image_id: str) -> None:
    """Turn the acknowledged answer into the viewer of one picture."""
    words = Words(interaction.locale.value)
    studio, caller = interaction.client.studio, caller_of(interaction)
    image = await studio.image(caller, image_id)
    fit = fitting_animation if image.is_animated else fitting_upload
    upload = await fit(await studio.image_file(caller, image.id), file_limit(interaction))
    if upload is None:
        raise NotFound(words("result.too_large"))
    shown = Shown(upload.data, f"{image.id}.{upload.suffix}", image_alt_text(words, image))
    view = image_card(words, image, shown, image_controls(words, image))
    await interaction.edit_original_response(view=view, attachments=[shown.file()])


def _keyed(key: str) -> GalleryView:
    match = re.fullmatch(_VIEW, key)
    if match is None:
        msg = f"{key!r} names no view of the gallery"
        raise ValueError(msg)
    return view_of(match)
