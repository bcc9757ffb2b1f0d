"""/history, /queue and /cancel: the member's own jobs, and what admins may stop."""

from discord import app_commands

from bot.faces.discord.cards import TEXT_MAX, card, harmless, lines_within, progress_line
from bot.faces.discord.commands.choices import complete_own_job
from bot.faces.discord.components.cancel import CancelButton, cancelled_line
from bot.faces.discord.components.history_pages import show_history
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words, described, phrase
from bot.faces.discord.uploads import typed_id
from bot.studio.contract import JobView

SHOWN = 10  # jobs of a member in /queue
BUTTONS = 5  # of a row


@app_commands.command(
    name=phrase("commands.history.name"), description=phrase("commands.history.description")
)
@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
async def history(interaction: Interaction) -> None:
    """Show the newest jobs to this member alone."""
    await interaction.response.defer(thinking=True, ephemeral=True)
    await show_history(interaction, None)


@app_commands.command(
    name=phrase("commands.queue.name"), description=phrase("commands.queue.description")
)
@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
async def queue(interaction: Interaction) -> None:
    """Show the queue and the member's own jobs in it; to admins also whose the others are."""
    await interaction.response.defer(thinking=True, ephemeral=True)
    words = Words(interaction.locale.value)
    state = await interaction.client.studio.queue(caller_of(interaction))
    own = (*state.running, *state.waiting)
    head = words("queue.title", running=state.total_running, waiting=state.total_waiting)
    lines = [_line(words, job) for job in own[:SHOWN]]
    body = "\n".join([words("queue.own"), *lines]) if own else words("queue.none")
    title = f"{words('queue.others')}\n"
    theirs = [_owned_line(words, job) for job in state.others]
    left = TEXT_MAX - len(head + body + title)
    others = title + lines_within(theirs, left, lambda count: f"… +{count}") if theirs else ""
    rows = [
        [CancelButton(job.id, words("buttons.cancel_one", id=job.id)) for job in jobs[:BUTTONS]]
        for jobs in (own, state.others)
    ]
    await interaction.edit_original_response(view=card(head, body, others, rows=rows))


@app_commands.command(
    name=phrase("commands.cancel.name"), description=phrase("commands.cancel.description")
)
@app_commands.describe(**described("cancel", "job"))
@app_commands.autocomplete(job=complete_own_job)
@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
async def cancel(interaction: Interaction, job: str | None = None) -> None:
    """Cancel one job, or all of the member's own."""
    await interaction.response.defer(thinking=True, ephemeral=True)
    words, caller = Words(interaction.locale.value), caller_of(interaction)
    studio = interaction.client.studio
    if job is not None:
        text = cancelled_line(words, await studio.cancel(caller, typed_id(job).lower()))
    else:
        state = await studio.queue(caller)
        own = [await studio.cancel(caller, one.id) for one in (*state.waiting, *state.running)]
        text = words("cancel.many", count=len(own)) if own else words("cancel.none")
        early = (cancelled_line(words, one) for one in own if not one.state.is_final)
        text = "\n".join(dict.fromkeys([text, *early]))
    await interaction.edit_original_response(content=text)


def _line(words: Words, job: JobView) -> str:
    return f"`{job.id}` {progress_line(words, job)} · {harmless(job.prompt, 80)}"


def _owned_line(words: Words, job: JobView) -> str:
    owner = words("result.by", owner=f"<@{job.owner_id}>")
    return f"`{job.id}` {progress_line(words, job)} · {owner}"
