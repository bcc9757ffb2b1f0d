"""`atelier privacy`: what is kept of a member, for an operator who was asked for it."""

import asyncio
import sys
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

from rich.console import Console

from bot.errors import UserError
from bot.faces.console.drawing import STDOUT, require_yes
from bot.studio.archives import write_archive
from bot.studio.contract import Caller, Studio

Opening = AbstractAsyncContextManager[Studio]


async def export(opening: Opening, member_id: int, path: Path) -> None:
    """Write all that is kept of a member as an archive; one that is not whole is taken away.

    Raises:
        UserError: it can't be written there.
    """
    await asyncio.to_thread(_leave_devices, path)
    begun = path.parent / f"{path.name}.part"
    async with opening as studio:
        pieces = write_archive(studio.export(Caller(owner_id=member_id)))
        if path == STDOUT:
            async for piece in pieces:
                await asyncio.to_thread(sys.stdout.buffer.write, piece)
            return
        try:
            with await asyncio.to_thread(begun.open, "wb") as file:
                async for piece in pieces:
                    await asyncio.to_thread(file.write, piece)
            await asyncio.to_thread(begun.replace, path)
        except OSError as error:
            msg = f"{path} can't be written: {error.strerror}"
            raise UserError(msg) from None
        finally:
            with suppress(OSError):
                begun.unlink(missing_ok=True)


def _leave_devices(path: Path) -> None:
    """See that nothing but a file would be replaced.

    Raises:
        UserError: it would.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        msg = f"{path} is no file; name one with --out, or - for standard output"
        raise UserError(msg)


async def erase(
    opening: Opening, member_id: int, console: Console, questions: Console, *, confirmed: bool
) -> None:
    """Ask, forget all that is kept of a member, and say how much it was.

    Raises:
        UserError: it is not meant, or nobody is there to be asked.
    """
    if not confirmed:
        fact = f"all that is kept of {member_id} can't be brought back"
        await require_yes(fact, "--yes deletes it", "Delete it?", questions)
    async with opening as studio:
        erased = await studio.erase(Caller(owner_id=member_id))
    told = f"Erased: {erased.jobs} jobs, {erased.images} pictures, {erased.files} files."
    console.print(told, highlight=False)
