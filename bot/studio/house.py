"""What members and guilds have set: defaults, rules, style references."""

import asyncio
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.errors import LimitReached, NameTaken, NotAllowed, NotFound, UserError
from bot.prompts import (
    NO_PRESET,
    ParsedPrompt,
    PromptError,
    format_prompt,
    load_presets,
    parse,
    preset_named,
)
from bot.storage.files import ImageFiles, content_key
from bot.storage.guilds import Guilds
from bot.storage.members import Members
from bot.storage.styles import StyleRow, Styles
from bot.studio import moderation, policy
from bot.studio.asking import model_named, read_aspect, require_known
from bot.studio.clock import Clock
from bot.studio.contract import Caller, GuildRules, Limits, Preferences, StyleView
from bot.studio.gallery import Gallery
from bot.studio.pictures import Pictures
from bot.studio.restyling import Look
from bot.wording import Said
from engine.api import (
    MAX_IMAGES,
    Catalogue,
    StylePresetInfo,
    StyleReference,
    fits_shipped,
    style_presets,
)

MAX_STYLES = 100  # of one member
_STYLE_NAME = re.compile(r"[^\W_][\w-]{0,39}")
RANDOM = "random"
NOBODY = -1  # a member to whom no style belongs


@dataclass(frozen=True, slots=True)
class Terms:
    """What counts for one caller here and now."""

    preferences: Preferences
    rules: GuildRules
    limits: Limits
    remark: Said | str = ""  # what is to be said of a prompt that is read with these preferences


@dataclass(frozen=True, kw_only=True, slots=True)
class Lost:
    """What a style had that its new picture has not."""

    sharing: bool = False
    lesson: bool = False

    @property
    def remark(self) -> Said | str:
        """What to say of it; empty where nothing is lost."""
        match self:
            case Lost(sharing=True, lesson=True):
                return Said(
                    "Its picture is another one: it is shared with nobody any more, "
                    "and what was learned from the old one is gone."
                )
            case Lost(sharing=True):
                return Said("Its picture is another one: it is shared with nobody any more.")
            case Lost(lesson=True):
                return Said(
                    "Its picture is another one: what was learned from the old one is gone."
                )
            case _:
                return ""


class House:
    """Reads and checks what was set."""

    def __init__(
        self,
        members: Members,
        guilds: Guilds,
        styles: Styles,
        files: ImageFiles,
        gallery: Gallery,
        catalogue: Catalogue,
        limits: Limits,
        now: Clock,
    ) -> None:
        self._members = members
        self._guilds = guilds
        self._styles = styles
        self._files = files
        self._gallery = gallery
        self._catalogue = catalogue
        self._limits = limits
        self._now = now
        self._fitting: dict[str, bool] = {}  # files of what was learnt; they never change

    async def preferences(self, caller: Caller) -> Preferences:
        """The caller's own defaults."""
        return policy.read_preferences(await self._members.preferences(caller.owner_id))

    async def set_preferences(self, caller: Caller, preferences: Preferences) -> None:
        """Replace the caller's own defaults.

        Raises:
            UserError: one of them can't be used; says which and why.
        """
        await self._check(policy.changed(preferences, await self.preferences(caller)), caller)
        stored = policy.stored_preferences(preferences)
        await self._members.set_preferences(caller.owner_id, stored, self._now())

    async def guild_preferences(self, caller: Caller) -> Preferences:
        """Defaults of the caller's guild."""
        return (await self._guild(caller))[0]

    async def set_guild_preferences(self, caller: Caller, preferences: Preferences) -> None:
        """Replace the guild's defaults.

        Raises:
            NotAllowed: the caller is no admin.
            UserError: one of them can't be used; says which and why.
        """
        guild_id = policy.require_admin(caller)
        known = await self.guild_preferences(caller)
        everybody = replace(caller, owner_id=NOBODY, secluded_in=None)
        await self._check(policy.changed(preferences, known), everybody)
        stored = policy.stored_preferences(preferences)
        await self._guilds.set_preferences(guild_id, stored, self._now())

    async def rules(self, caller: Caller) -> GuildRules:
        """What admins decided for the caller's guild."""
        return (await self._guild(caller))[1]

    async def terms(self, caller: Caller) -> Terms:
        """What counts for the caller here and now: own defaults over the guild's, rules, caps."""
        guild, rules = await self._guild(caller)
        own, usual = await self.preferences(caller), policy.usual_preferences(caller)
        merged = policy.merged_preferences(own, guild, usual)
        rules = policy.with_draft_models(rules, self._catalogue)
        preferences, remark = await self._usable_here(caller, merged, rules)
        preferences = policy.with_open_model(preferences, rules, self._catalogue)
        limits = policy.effective_limits(caller, rules, self._limits)
        return Terms(preferences, rules, limits, remark)

    async def set_rules(self, caller: Caller, rules: GuildRules) -> None:
        """Replace the guild's rules.

        Raises:
            NotAllowed: the caller is no admin.
            NotFound: a model is unknown.
            LimitReached: a cap is below 1, or a forbidden word is none.
        """
        guild_id = policy.require_admin(caller)
        moderation.require_findable(rules.forbidden_words)
        for model in rules.allowed_models:
            model_named(model, self._catalogue)
        for limits in (rules.limits, *rules.role_limits.values()):
            policy.require_usable(limits)
        await self._guilds.set_rules(guild_id, policy.stored_rules(rules), self._now())

    async def save_style(
        self, caller: Caller, name: str, png: bytes, *, replacing: bool = False
    ) -> Said | str:
        """Keep a cleaned picture as a style reference; says what was lost by it.

        Raises:
            NameTaken: what was learnt from another picture would be lost.
            UserError: the name can't be used, or there are too many styles.
        """
        wanted = await self.free_style_name(caller, name)
        lost = await self.lost_by(caller, wanted, png, replacing=replacing)
        key = content_key(png)
        await self._files.put(key, png)
        row = StyleRow(
            owner_id=caller.owner_id,
            name=wanted,
            file_key=key,
            learnt_key=None,
            created_at=self._now(),
        )
        await self._styles.save(row)
        return lost.remark

    async def lost_by(self, caller: Caller, name: str, png: bytes, *, replacing: bool) -> Lost:
        """What goes with the picture that a style's name has, where another one takes its place.

        Raises:
            NameTaken: something was learnt from it, and nobody said that it may go.
        """
        try:
            old = await self._styles.own(caller.owner_id, name)
        except NotFound:
            return Lost()
        if old.file_key == content_key(png):
            return Lost()
        if old.learnt_key and not replacing:
            raise NameTaken(
                Said(
                    "{name} was learned from another picture, and that would be lost; "
                    "choose another name, or say that it may be replaced",
                    name=name,
                )
            )
        guilds = await self._styles.guilds_of(caller.owner_id, name)
        return Lost(sharing=bool(guilds), lesson=bool(old.learnt_key))

    async def style_key(self, caller: Caller, name: str) -> str | None:
        """The file of the picture that the caller keeps under a name; None where there is none."""
        try:
            return (await self._styles.own(caller.owner_id, name)).file_key
        except NotFound:
            return None

    async def free_style_name(self, caller: Caller, name: str) -> str:
        """The name under which a style of the caller's will be kept.

        Raises:
            UserError: the name can't be used, or there are too many styles.
        """
        wanted = style_name(name)
        own = [s for s in await self._usable(caller) if s.owner_id == caller.owner_id]
        if len(own) >= MAX_STYLES and wanted not in {style.name for style in own}:
            raise LimitReached(
                Said(
                    "you keep {count} styles, and {most} may be kept",
                    count=len(own),
                    most=MAX_STYLES,
                )
            )
        return wanted

    async def style_names(self, caller: Caller) -> tuple[str, ...]:
        """Styles the caller may use."""
        return tuple(dict.fromkeys(style.name for style in await self._usable(caller)))

    async def styles(self, caller: Caller) -> tuple[StyleView, ...]:
        """Styles the caller may name; of several with one name, the one that is meant by it."""
        views = {}
        shared = await self._styles.shared(caller.guild_id)
        for row in await self._usable(caller):
            if row.name not in views or row.owner_id == caller.owner_id:
                views[row.name] = StyleView(
                    name=row.name,
                    title=row.name,
                    owner_id=row.owner_id,
                    is_shared=shared.get(row.name) == row.owner_id,
                    is_trained=row.learnt_key is not None,
                    is_outdated=await self._is_outdated(row),
                    saved_at=row.created_at,
                )
        shipped = (
            StyleView(name=preset.name, title=preset.titled(caller.locale), colours=preset.colours)
            for preset in style_presets()
        )
        return (*views.values(), *shipped)

    async def look(self, caller: Caller, name: str) -> Look:
        """A saved style or one that ships, by its name; `random` draws one.

        Raises:
            NotFound: there is none of that name.
        """
        wanted = as_style_name(name)
        if wanted == RANDOM:
            wanted = secrets.choice(await self.styles(caller)).name
        if preset := _shipped(wanted):
            return Look(StyleReference(preset=preset.name), preset.title, preset.artist)
        row = await self._saved(caller, wanted)
        reference = StyleReference(
            image=await self._files.read(row.file_key),
            learnt=await self._learnt(row),
            is_kept=True,
        )
        return Look(reference, wanted)

    async def style_png(self, caller: Caller, name: str) -> bytes:
        """The picture of a saved style; of a painting that ships, a small one.

        Raises:
            NotFound: there is none of that name.
        """
        wanted = as_style_name(name)
        if shipped := _shipped(wanted):
            return await asyncio.to_thread(shipped.png)
        return await self._files.read((await self._saved(caller, wanted)).file_key)

    async def style_thumbnail(self, caller: Caller, name: str) -> bytes:
        """A small WebP of a style that may be named.

        Raises:
            NotFound: there is none of that name.
        """
        wanted = as_style_name(name)
        if shipped := _shipped(wanted):
            return await asyncio.to_thread(shipped.picture.read_bytes)
        row = await self._saved(caller, wanted)
        return await Pictures(self._files).thumbnail(row.file_key)

    async def share_style(self, caller: Caller, name: str, *, on: bool) -> None:
        """Let the caller's guild use one of their styles, or no more; admins may end it, too.

        Raises:
            NotAllowed: this is no guild.
            NotFound: the caller keeps none of that name, or it is not shared here.
            NameTaken: somebody else's style of that name is shared here.
        """
        if caller.guild_id is None:
            raise NotAllowed("a style is shared with a server; share it or take it back there")
        wanted = as_style_name(name)
        if on:
            await self._styles.share(caller.owner_id, wanted, caller.guild_id)
            return
        owner_id = (await self._styles.shared(caller.guild_id)).get(wanted)
        if owner_id is None or not policy.may_take_back_style(caller, owner_id, caller.guild_id):
            raise await self._not_shared(caller, wanted)
        await self._styles.take_back(caller.guild_id, wanted)

    async def own_style_png(self, caller: Caller, name: str) -> bytes:
        """The picture of a style that the caller keeps, to be learnt.

        Raises:
            NotFound: the caller keeps none of that name.
        """
        wanted = as_style_name(name)
        try:
            row = await self._styles.own(caller.owner_id, wanted)
        except NotFound as error:
            raise NotFound(
                Said(
                    "you keep no style called {name}; send the picture that is to be learned",
                    name=wanted[:40],
                )
            ) from error
        return await self._files.read(row.file_key)

    async def rename_style(self, caller: Caller, name: str, new_name: str) -> None:
        """Call one of the caller's styles otherwise; it stays shared and learnt.

        Raises:
            NotFound: the caller keeps none of the old name.
            NameTaken: the new name means another style.
            UserError: the new name can't be one.
        """
        await self._styles.rename(caller.owner_id, as_style_name(name), style_name(new_name))

    async def delete_style(self, caller: Caller, name: str) -> None:
        """Forget one of the caller's styles.

        Raises:
            NotFound: the caller keeps none of that name.
        """
        row = await self._styles.own(caller.owner_id, as_style_name(name))
        await self._styles.remove(row.owner_id, row.name)

    async def _not_shared(self, caller: Caller, wanted: str) -> NotFound:
        """Why a style of the caller's can't be taken back here, and where it can."""
        row = await self._styles.own(caller.owner_id, wanted)
        if count := len(await self._styles.guilds_of(row.owner_id, row.name)):
            return NotFound(
                Said(
                    "{name} is not shared with this server but with others ({count}); "
                    "take it back there",
                    name=wanted,
                    count=count,
                )
            )
        return NotFound(Said("{name} is shared with nobody", name=wanted))

    async def _guild(self, caller: Caller) -> tuple[Preferences, GuildRules]:
        if caller.guild_id is None:
            return Preferences(), GuildRules()
        preferences, rules = await self._guilds.settings(caller.guild_id)
        return policy.read_preferences(preferences), policy.read_rules(rules)

    async def _saved(self, caller: Caller, wanted: str) -> StyleRow:
        try:
            return await self._styles.named(caller.owner_id, caller.guild_id, wanted)
        except NotFound as error:
            shipped = ", ".join(preset.name for preset in style_presets())
            raise NotFound(
                Said(
                    "there is no style called {name}; save one, or use {names}",
                    name=wanted[:40],
                    names=shipped,
                )
            ) from error

    async def _is_outdated(self, row: StyleRow) -> bool:
        """Whether what was learnt of a style is left out now."""
        if row.learnt_key is None:
            return False
        if row.learnt_key not in self._fitting:
            learnt = await self._learnt(row)
            if not learnt:
                return True
            self._fitting[row.learnt_key] = fits_shipped(learnt)
        return not self._fitting[row.learnt_key]

    async def _learnt(self, row: StyleRow) -> bytes:
        """What was learnt of a style; nothing where its file is gone, as it may be in a backup."""
        if row.learnt_key is None:
            return b""
        try:
            return await self._files.read(row.learnt_key)
        except NotFound:
            return b""

    async def _usable(self, caller: Caller) -> Sequence[StyleRow]:
        return await self._styles.usable(caller.owner_id, caller.guild_id)

    async def _check(self, preferences: Preferences, caller: Caller) -> None:
        if preferences.model is not None:
            model_named(preferences.model, self._catalogue)
        if preferences.aspect is not None:
            read_aspect(preferences.aspect)
        if preferences.flags is not None:
            await self._check_flags(parse(preferences.flags, allow_empty=True), caller)
        preset = preferences.preset or NO_PRESET
        if preset != NO_PRESET and preset_named(preset, load_presets()) is None:
            raise NotFound(Said("there is no style preset called {name}", name=preset))
        count = preferences.image_count
        if count is not None and not 1 <= count <= MAX_IMAGES:
            raise LimitReached(
                Said(
                    "the number of images must be 1 to {most}, not {given}",
                    most=MAX_IMAGES,
                    given=count,
                )
            )

    async def _usable_here(
        self, caller: Caller, preferences: Preferences, rules: GuildRules
    ) -> tuple[Preferences, Said | str]:
        """What is set but for what is gone since, or not of this place; and what to say of that."""
        left_out = []
        if not self._is_model(preferences.model):
            left_out.append(f"--model {preferences.model}")
            preferences = replace(preferences, model=None)
        if preferences.flags:
            flags, unusable = await self._usable_flags(caller, preferences.flags, rules)
            left_out += unusable
            preferences = replace(preferences, flags=flags)
        if not left_out:
            return preferences, ""
        return preferences, Said(
            "Of the defaults this can't be used here and was left out: {flags}.",
            flags=" ".join(left_out),
        )

    async def _usable_flags(
        self, caller: Caller, flags: str, rules: GuildRules
    ) -> tuple[str, list[str]]:
        """Those of some default flags that can be followed here, and the others."""
        try:
            usual = parse(flags, allow_empty=True)
        except PromptError:  # of an older grammar
            return "", [flags]
        known = self._catalogue.lora_names()
        looks = [one for one in usual.style_references if await self._is_look(caller, one.ref)]
        loras = [one for one in usual.loras if one.name.strip().lower() in known]
        model = usual.flags.model
        if not (self._is_model(model) and policy.is_open(model, rules)):
            model = None
        kept = replace(
            usual,
            flags=replace(usual.flags, model=model),
            style_references=tuple(looks),
            loras=tuple(loras),
        )
        left_out = [f"--sref {one.ref}" for one in usual.style_references if one not in looks]
        left_out += [f"--lora {one.name}" for one in usual.loras if one not in loras]
        left_out += [f"--model {usual.flags.model}"] if model != usual.flags.model else []
        return (format_prompt(kept) if left_out else flags), left_out

    def _is_model(self, name: str | None) -> bool:
        return name is None or name.strip().lower() in self._catalogue.names()

    async def _is_look(self, caller: Caller, name: str) -> bool:
        try:
            await self._require_look(caller, name)
        except NotFound:
            return False
        return True

    async def _require_look(self, caller: Caller, name: str) -> None:
        """See that `--sref` may name this: a style, or an image that the caller may see.

        Raises:
            NotFound: there is neither.
        """
        wanted = as_style_name(name)
        if wanted == RANDOM or _shipped(wanted):
            return
        try:
            await self._saved(caller, wanted)
        except NotFound as unknown:
            try:
                await self._gallery.seen(caller, name)
            except NotFound:
                raise unknown from None

    async def _check_flags(self, usual: ParsedPrompt, caller: Caller) -> None:
        """Refuse what would not act on each prompt, and looks that the caller can't name."""
        shown = usual.prompt or " ".join(usual.image_prompts)
        if shown:
            raise NotAllowed(
                Said(
                    "only flags are taken as defaults, not {words!r}; "
                    "choose a preset, or type it in each prompt",
                    words=shown[:40],
                )
            )
        if usual.flags.repeat:
            raise NotAllowed("--repeat is no default; type it in the prompt that shall be repeated")
        require_known(usual, self._catalogue)
        for reference in usual.style_references:
            if "://" in reference.ref:
                raise NotAllowed("a link does not last; save the style, and use its name")
            await self._require_look(caller, reference.ref)


def _shipped(name: str) -> StylePresetInfo | None:
    return next((preset for preset in style_presets() if preset.name == name), None)


def as_style_name(name: str) -> str:
    """How a typed name is looked up: `Starry Night` means `starry-night`."""
    return "-".join(name.casefold().split())


def style_name(name: str) -> str:
    """A style's name as it is kept.

    Raises:
        UserError: it can't be one.
    """
    wanted = as_style_name(name)
    if _shipped(wanted):
        raise UserError(
            Said("{name} is the name of a style that ships; choose another one", name=wanted)
        )
    if wanted == RANDOM or not _STYLE_NAME.fullmatch(wanted):
        raise UserError(
            Said(
                "a style can't be called {name!r}; use a word of letters, digits and hyphens",
                name=name[:40],
            )
        )
    return wanted
