"""The `atelier` command: run the service, or draw and browse from a terminal."""

import asyncio
import contextlib
import importlib.util
import itertools
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperCommand

from bot.errors import BadConfiguration, UserError
from bot.faces.console import doctor as diagnosis
from bot.faces.console import drawing, gallery_table, mixing, privacy, restyling, teaching
from bot.faces.console.application import Application
from bot.logs import start_logging
from bot.prompts import FLAGS
from bot.settings import Settings, read_settings, shown_database_url
from bot.studio.contract import (
    Blending,
    Detail,
    Dreaming,
    GalleryQuery,
    GalleryScope,
    Morphing,
    Restyling,
    Teaching,
)
from bot.studio.mixing import BLEND_COUNT_MAX, DREAM_COUNT_MAX
from bot.studio.restyling import MAX_VARIATIONS, STRENGTHS
from bot.studio.stops import read_weights
from engine.api import MAX_SEED, EngineError, KeepColour, StyleLoss, StyleMethod, StyleStart

commands = typer.Typer(
    help="Atelier: a self-hosted art studio for chat.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
styles = typer.Typer(help="Keep pictures as styles, by name.", no_args_is_help=True)
commands.add_typer(styles, name="style")
generators = typer.Typer(help="Generators that learn from your gallery.", no_args_is_help=True)
commands.add_typer(generators, name="generator")
of_members = typer.Typer(help="Hand out or delete what is kept of a member.", no_args_is_help=True)
commands.add_typer(of_members, name="privacy")
err = Console(stderr=True)
log = logging.getLogger(__name__)
UNBROKEN = 10_000  # characters of a line
ONE = "What is there is replaced; - is standard output. Else a name that is free."
SEVERAL = f"Several get -1, -2 ... added. {ONE}"
Member = Annotated[
    int, typer.Argument(min=0, max=2**63 - 1, help="The id of an account; 0: web and command line.")
]
Meant = Annotated[bool, typer.Option("--yes", help="Do not ask before what was learned is lost.")]
Replacing = Annotated[
    bool, typer.Option("--replace", help="Lose what was learned from another picture of the name.")
]


class PromptCommand(TyperCommand):
    """A command with a prompt: knows that flags typed after it belong into it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Say where flags belong before they are taken for unknown options."""
        own = {name for option in self.params for name in option.opts}
        flags = {f"--{name}" for flag in FLAGS for name in (flag.name, *flag.aliases)}
        for place, typed in enumerate(args):
            name = typed.partition("=")[0]
            if name in flags - own and "--" not in args[:place]:
                words = [*_up_to_option(args), typed, *_up_to_option(args[place + 1 :])]
                quoted = " ".join(words)
                ctx.fail(f'No such option: {name}; flags belong inside the quotes: "{quoted}"')
        return super().parse_args(ctx, args)


def _up_to_option(args: list[str]) -> Iterator[str]:
    return itertools.takewhile(lambda typed: not typed.startswith("-"), args)


def _tell_version(asked: bool) -> None:  # noqa: FBT001
    if asked:
        typer.echo(f"atelier {version_of('atelier')}")
        raise typer.Exit


@commands.callback()
def atelier(
    version: Annotated[  # noqa: FBT002
        bool, typer.Option("--version", is_eager=True, callback=_tell_version)
    ] = False,
) -> None:
    """Atelier: a self-hosted art studio for chat."""


@commands.command()
def run(context: typer.Context) -> None:
    """Start the service: web studio, engine and, with DISCORD_TOKEN set, the Discord bot."""
    with _complaints():
        settings = read_settings()
        start_logging(settings.log_level, settings.log_format)
    is_for_collectors = settings.log_format == "json"
    announce = log.info if is_for_collectors else typer.echo
    with _complaints(log.error if is_for_collectors else _complain):
        asyncio.run(_application(context).serve(settings, announce))


@commands.command(cls=PromptCommand)
def imagine(
    context: typer.Context,
    prompt: Annotated[str, typer.Argument(help="The prompt, flags included.")],
    out: Annotated[Path | None, typer.Option(help=f"Where the picture goes. {SEVERAL}")] = None,
    source: Annotated[
        str | None, typer.Option(help="A picture to start from: its file, or an image's id.")
    ] = None,
    style: Annotated[
        str | None, typer.Option(help="One whose look is taken: its file, or an image's id.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask when it makes many jobs.")] = False,  # noqa: FBT002
) -> None:
    """Draw pictures from a prompt."""
    with _complaints():
        settings = _quiet_settings()
        start, look = (text and restyling.read_content(text) for text in (source, style))
        ask = drawing.Ask(prompt, start, look, confirmed=yes)
        studio = _application(context).open_studio_of(settings)
        place = drawing.out_of(out, drawing.default_path(prompt))
        for path in asyncio.run(drawing.draw(studio, ask, place, err)):
            typer.echo(path)


@commands.command()
def stylize(
    context: typer.Context,
    content: Annotated[str, typer.Argument(help="A picture's file, or the id of an image.")],
    style: Annotated[
        str, typer.Option(help="Whose look: a file, a saved name or a painting; NAME:0.4 weighs.")
    ],
    style2: Annotated[str | None, typer.Option(help="Another look; so up to --style4.")] = None,
    style3: Annotated[str | None, typer.Option(hidden=True)] = None,
    style4: Annotated[str | None, typer.Option(hidden=True)] = None,
    out: Annotated[Path | None, typer.Option(help=f"Where the picture goes. {SEVERAL}")] = None,
    strength: Annotated[float, typer.Option(min=0, max=1, help="0 keeps the picture.")] = 1.0,
    strengths: Annotated[  # noqa: FBT002
        bool, typer.Option("--strengths", help="Four strengths to choose from.")
    ] = False,
    method: Annotated[StyleMethod, typer.Option()] = StyleMethod.FAST,
    detail: Annotated[Detail, typer.Option(help="Of --method optimise.")] = Detail.NORMAL,
    loss: Annotated[StyleLoss, typer.Option(help="Of --method optimise.")] = StyleLoss.GRAM,
    start: Annotated[
        StyleStart, typer.Option(help="Where --method optimise begins.")
    ] = StyleStart.CONTENT,
    keep_colour: Annotated[KeepColour, typer.Option()] = KeepColour.NO,
    size: Annotated[int, typer.Option(help="Longer side in pixels.")] = 0,
    seed: Annotated[int | None, typer.Option(min=0, max=MAX_SEED)] = None,
    variations: Annotated[int, typer.Option(min=1, max=MAX_VARIATIONS)] = 1,
    mask: Annotated[Path | None, typer.Option(help="White is restyled, black is kept.")] = None,
    cells: Annotated[str, typer.Option(help="Restyle these alone: A1 to D4, as A1-B2.")] = "",
    model: Annotated[str | None, typer.Option(help="Of --method diffusion.")] = None,
    blend: Annotated[
        float | None, typer.Option(help="Five steps between two styles; 0.3 is in the middle.")
    ] = None,
) -> None:
    """Give a picture another's look."""
    with _complaints():
        asked = Restyling(
            strength=strength,
            strengths=STRENGTHS if strengths else (),
            method=method,
            detail=detail,
            loss=loss,
            start=start,
            keep_colour=keep_colour,
            size=size,
            seed=seed,
            variations=variations,
            mask=_read(mask) or b"",
            cells=cells,
            model=model,
        )
        chosen = [
            restyling.read_style(text)
            for text in (style, style2, style3, style4)
            if text is not None
        ]
        ask = restyling.Ask(restyling.read_content(content), tuple(chosen), asked, blend)
        studio = _application(context).open_studio_of(_quiet_settings())
        place = drawing.out_of(out, "restyled.png")
        for path in asyncio.run(restyling.restyle(studio, ask, place, err)):
            typer.echo(path)


@commands.command()
def blend(
    context: typer.Context,
    pictures: Annotated[list[str], typer.Argument(help="Two to five files or ids of images.")],
    weights: Annotated[str, typer.Option(help="How much of each, such as 2:1:1.")] = "",
    prompt: Annotated[str, typer.Option(help="Words that draw the mixture on.")] = "",
    strength: Annotated[float | None, typer.Option(min=0, max=1, help="Of the prompt.")] = None,
    count: Annotated[int, typer.Option(min=1, max=BLEND_COUNT_MAX)] = 1,
    seed: Annotated[int | None, typer.Option(min=0, max=MAX_SEED)] = None,
    model: Annotated[str | None, typer.Option()] = None,
    out: Annotated[Path | None, typer.Option(help=SEVERAL)] = None,
) -> None:
    """Mix pictures into one."""
    with _complaints():
        asked = Blending(
            weights=read_weights(weights),
            prompt=prompt,
            strength=strength,
            count=count,
            seed=seed,
            model=model,
        )
        contents = [restyling.read_content(text) for text in pictures]
        studio = _application(context).open_studio_of(_quiet_settings())
        place = drawing.out_of(out, "blend.png")
        for path in asyncio.run(mixing.blend(studio, contents, asked, place, err)):
            typer.echo(path)


@commands.command()
def dream(
    context: typer.Context,
    look: Annotated[str, typer.Option(help="What to dream of; else anything.")] = "",
    seed: Annotated[int | None, typer.Option(min=0, max=MAX_SEED)] = None,
    truncation: Annotated[float, typer.Option(min=0, max=1, help="0 usual, 1 wild.")] = 0.7,
    count: Annotated[int, typer.Option(min=1, max=DREAM_COUNT_MAX)] = DREAM_COUNT_MAX,
    like: Annotated[str, typer.Option(help="A file or an image's id to dream near.")] = "",
    distance: Annotated[float | None, typer.Option(min=0, max=1, help="From --like.")] = None,
    model: Annotated[str | None, typer.Option()] = None,
    out: Annotated[Path | None, typer.Option(help=SEVERAL)] = None,
) -> None:
    """Draw without words."""
    with _complaints():
        asked = Dreaming(
            look=look,
            seed=seed,
            truncation=truncation,
            count=count,
            like=restyling.read_content(like) if like else b"",
            distance=distance,
            model=model,
        )
        studio = _application(context).open_studio_of(_quiet_settings())
        place = drawing.out_of(out, "dream.png")
        for path in asyncio.run(mixing.dream(studio, asked, place, err)):
            typer.echo(path)


@commands.command()
def morph(
    context: typer.Context,
    stops: Annotated[
        list[str], typer.Argument(help="Two to six: files, ids of images, seeds of dreams, words.")
    ],
    frames: Annotated[int, typer.Option(help="2 to 120.")] = 24,
    seconds: Annotated[float, typer.Option(help="How long it lasts.")] = 3.0,
    loop: Annotated[bool, typer.Option(help="Go back to the beginning.")] = True,  # noqa: FBT002
    look: Annotated[str, typer.Option(help="Of dreams.")] = "",
    dreamer: Annotated[str | None, typer.Option(help="The model that dreams the seeds.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=MAX_SEED)] = None,
    model: Annotated[str | None, typer.Option()] = None,
    out: Annotated[Path | None, typer.Option(help=f"A WebP, or an MP4 by its name. {ONE}")] = None,
) -> None:
    """Animate the way from one picture, prompt or dream to others."""
    with _complaints():
        asked = Morphing(
            frames=frames,
            seconds=seconds,
            loop=loop,
            video=out is not None and out.suffix.lower() == ".mp4",
            look=look,
            dreamer=dreamer,
            seed=seed,
            model=model,
        )
        studio = _application(context).open_studio_of(_quiet_settings())
        passed = [mixing.read_stop(text) for text in stops]
        place = drawing.out_of(out, "morph.webp")
        for path in asyncio.run(mixing.morph(studio, passed, asked, place, err)):
            typer.echo(path)


@commands.command()
def upscale(
    context: typer.Context,
    picture: Annotated[str, typer.Argument(help="A picture's file, or the id of an image.")],
    factor: Annotated[int, typer.Option(help="2 or 4.")] = 2,
    detail: Annotated[float, typer.Option(min=0, max=1, help="0 smooth, 1 crisp.")] = 0.5,
    out: Annotated[Path | None, typer.Option(help=ONE)] = None,
) -> None:
    """Make a picture larger."""
    with _complaints():
        content = restyling.read_content(picture)
        studio = _application(context).open_studio_of(_quiet_settings())
        place = drawing.out_of(out, "upscaled.png")
        for path in asyncio.run(mixing.upscale(studio, content, factor, detail, place, err)):
            typer.echo(path)


@styles.command("list")
def list_styles(context: typer.Context) -> None:
    """List the styles that --style may name."""
    with _complaints():
        studio = _application(context).open_studio_of(_quiet_settings(), with_engine=False)
        asyncio.run(restyling.list_styles(studio, _listing()))


@styles.command("save")
def save_style(
    context: typer.Context,
    name: str,
    picture: Annotated[str, typer.Argument(help="A picture's file, or the id of an image.")],
    replace: Replacing = False,  # noqa: FBT002
) -> None:
    """Keep a picture's look under a name."""
    with _complaints():
        look = restyling.read_content(picture)
        studio = _application(context).open_studio_of(_quiet_settings(), with_engine=False)
        asyncio.run(restyling.save_style(studio, name, look, err, replacing=replace))


@styles.command("train")
def train_style(
    context: typer.Context,
    name: str,
    picture: Annotated[
        str | None,
        typer.Argument(help="A picture's file, or the id of an image; else the one of that name."),
    ] = None,
    replace: Replacing = False,  # noqa: FBT002
    out: Annotated[
        Path | None, typer.Option(help=f"Where before and after are shown. {ONE}")
    ] = None,
) -> None:
    """Let the fast method learn a picture's look, in minutes, and keep it under a name."""
    with _complaints():
        look = restyling.read_content(picture) if picture else None
        studio = _application(context).open_studio_of(_quiet_settings())
        place = drawing.out_of(out, "trained.png")
        making = restyling.train_style(studio, name, look, place, err, replacing=replace)
        for path in asyncio.run(making):
            typer.echo(path)


@styles.command("show")
def show_style(
    context: typer.Context,
    name: str,
    out: Annotated[Path | None, typer.Option(help=ONE)] = None,
) -> None:
    """Write the picture of a style that --style may name."""
    with _complaints():
        studio = _application(context).open_studio_of(_quiet_settings(), with_engine=False)
        place = drawing.out_of(out, drawing.default_path(name))
        for path in asyncio.run(restyling.show_style(studio, name, place)):
            typer.echo(path)


@styles.command("rename")
def rename_style(context: typer.Context, name: str, new_name: str) -> None:
    """Call a saved style otherwise."""
    with _complaints():
        studio = _application(context).open_studio_of(_quiet_settings(), with_engine=False)
        asyncio.run(restyling.rename_style(studio, name, new_name))


@styles.command("delete")
def delete_style(context: typer.Context, name: str, yes: Meant = False) -> None:  # noqa: FBT002
    """Forget a saved style."""
    with _complaints():
        studio = _application(context).open_studio_of(_quiet_settings(), with_engine=False)
        asyncio.run(restyling.delete_style(studio, name, err, confirmed=yes))


@generators.command("list")
def list_generators(context: typer.Context) -> None:
    """List the generators that `dream --model` may name."""
    with _complaints():
        studio = _application(context).open_studio_of(_quiet_settings(), with_engine=False)
        asyncio.run(teaching.list_generators(studio, _listing()))


@generators.command("train")
def train_generator(
    context: typer.Context,
    name: str,
    words: Annotated[str, typer.Option(help="Only images found by this.")] = "",
    favourites: Annotated[bool, typer.Option("--favourites", help="Marked images only.")] = False,  # noqa: FBT002
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Of learning.")] = None,
    out: Annotated[Path | None, typer.Option(help=f"Where its dreams are shown. {ONE}")] = None,
) -> None:
    """Let a generator learn from your images; Ctrl+C keeps what it knows by then."""
    with _complaints():
        asked = Teaching(name=name, words=words, favourites_only=favourites, minutes=minutes)
        studio = _application(context).open_studio_of(_quiet_settings())
        place = drawing.out_of(out, "generator.png")
        for path in asyncio.run(teaching.train(studio, asked, place, err)):
            typer.echo(path)


@generators.command("show")
def show_generator(
    context: typer.Context,
    name: str,
    out: Annotated[Path | None, typer.Option(help=ONE)] = None,
) -> None:
    """Write a sheet of what a generator dreams."""
    with _complaints():
        studio = _application(context).open_studio_of(_quiet_settings(), with_engine=False)
        place = drawing.out_of(out, "generator.png")
        for path in asyncio.run(teaching.show(studio, name, place)):
            typer.echo(path)


@generators.command("delete")
def delete_generator(context: typer.Context, name: str, yes: Meant = False) -> None:  # noqa: FBT002
    """Forget a generator."""
    with _complaints():
        studio = _application(context).open_studio_of(_quiet_settings(), with_engine=False)
        asyncio.run(teaching.delete(studio, name, err, confirmed=yes))


@commands.command()
def gallery(
    context: typer.Context,
    words: Annotated[str, typer.Argument(help="Words in the prompt, or model:NAME, seed:N.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    favourites: Annotated[bool, typer.Option("--favourites", help="Marked images only.")] = False,  # noqa: FBT002
    save: Annotated[Path | None, typer.Option(help="A folder to copy their files to.")] = None,
) -> None:
    """List the newest images."""
    query = GalleryQuery(scope=GalleryScope.ALL, text=words, favourites_only=favourites)
    with _complaints():
        studio = _application(context).open_studio_of(_quiet_settings(), with_engine=False)
        asyncio.run(gallery_table.show(studio, query, limit, save, _listing()))


@of_members.command("export")
def export_member(
    context: typer.Context,
    member: Member,
    out: Annotated[
        Path | None, typer.Option(help="What is there is replaced; - is standard output.")
    ] = None,
) -> None:
    """Write all that is kept of a member into a zip: pictures, uploads, prompts, settings."""
    with _complaints():
        studio = _application(context).open_studio_of(_quiet_settings(), with_engine=False)
        path = drawing.out_of(out, f"atelier-{member}.zip").path
        asyncio.run(privacy.export(studio, member, path))
        if path != drawing.STDOUT:
            typer.echo(path)


@of_members.command("delete")
def delete_member(
    context: typer.Context,
    member: Member,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002
) -> None:
    """Delete all that is kept of a member, for good; the service may run meanwhile."""
    with _complaints():
        studio = _application(context).open_studio_of(_quiet_settings(), with_engine=False)
        asyncio.run(privacy.erase(studio, member, Console(), err, confirmed=yes))


@commands.command()
def migrate(context: typer.Context) -> None:
    """Bring the database to the newest schema."""
    with _complaints():
        settings = _quiet_settings()
        asyncio.run(_application(context).migrate(settings))
        typer.echo(f"The database is up to date: {shown_database_url(settings)}")


@commands.command()
def doctor(context: typer.Context) -> None:
    """Check configuration, permissions, device and models; say what is wrong and how to mend it."""
    with _complaints():
        if not asyncio.run(diagnosis.diagnose(_application(context), _listing())):
            raise typer.Exit(1)


@commands.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],  # the programs have more to say of their options
    }
)
def train(context: typer.Context) -> None:
    """Train a network of the pack: atelier train NETWORK --data DIR --out DIR --minutes N."""
    if importlib.util.find_spec("tqdm") is None:
        err.print("Training needs some more packages: pip install '.[train]'", markup=False)
        raise typer.Exit(1)
    # A process of its own, because this one never imports torch.
    raise typer.Exit(_status_of([sys.executable, "-m", "engine.training", *context.args]))


def _status_of(command: list[str]) -> int:
    """The exit status of a program that hears Ctrl+C itself, and first ends what it is at."""
    with subprocess.Popen(command) as program:  # noqa: S603
        while True:
            with contextlib.suppress(KeyboardInterrupt):  # `subprocess.call` would kill it
                return program.wait()


def _application(context: typer.Context) -> Application:
    application: Application = context.obj
    return application


def _quiet_settings() -> Settings:
    settings = read_settings()
    start_logging("DEBUG" if settings.log_level == "DEBUG" else "WARNING", settings.log_format)
    return settings


def _read(path: Path | None) -> bytes | None:
    return None if path is None else drawing.read_file(path)


def _listing() -> Console:
    """Standard output; where no terminal shows it, programs read it and no line is broken."""
    return Console(width=None if sys.stdout.isatty() else UNBROKEN)


def _complain(line: str) -> None:
    err.print(line, style="bold red", highlight=False, markup=False, soft_wrap=True)


@contextlib.contextmanager
def _complaints(complain: Callable[[str], object] = _complain) -> Iterator[None]:
    """Turn what somebody can mend into a line and an exit code."""
    try:
        yield
    except BadConfiguration as error:
        complain(f"Configuration: {error}")
        raise typer.Exit(2) from None
    except (UserError, EngineError) as error:
        complain(f"Error: {error}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        err.print("Stopped.")
        raise typer.Exit(130) from None
