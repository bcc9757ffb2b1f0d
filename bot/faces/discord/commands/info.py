"""/info and /help: about the studio, about one picture or job, and how to use all this."""

from discord import app_commands

from bot.errors import NotFound
from bot.faces.discord.cards import BLUE, card, shortened
from bot.faces.discord.components.details import image_details, job_details
from bot.faces.discord.components.flags_page import AllFlagsButton
from bot.faces.discord.face import Interaction, caller_of
from bot.faces.discord.localisation import Words, described, phrase
from bot.faces.discord.uploads import ID_MAX, typed_id

MODELS_SHOWN = 1000  # characters


@app_commands.command(
    name=phrase("commands.info.name"), description=phrase("commands.info.description")
)
@app_commands.describe(**described("info", "id"))
@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
async def info(
    interaction: Interaction,
    id: app_commands.Range[str, 1, ID_MAX] | None = None,  # noqa: A002
) -> None:
    """Tell this member alone."""
    await interaction.response.defer(thinking=True, ephemeral=True)
    if id is None:
        text = await _about_studio(interaction)
    else:
        text = await _about(interaction, typed_id(id).lower())
    await interaction.edit_original_response(content=text)


@app_commands.command(
    name=phrase("commands.help.name"), description=phrase("commands.help.description")
)
@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
async def help_command(interaction: Interaction) -> None:
    """Explain it to this member alone."""
    words = Words(interaction.locale.value)
    rows = [[AllFlagsButton(words("buttons.all_flags"))]]
    view = card(words("help.text").strip(), rows=rows, colour=BLUE)
    await interaction.response.send_message(view=view, ephemeral=True)


async def _about(interaction: Interaction, thing_id: str) -> str:
    """A picture's details, else a job's."""
    words, caller = Words(interaction.locale.value), caller_of(interaction)
    studio = interaction.client.studio
    try:
        return image_details(words, await studio.image(caller, thing_id))
    except NotFound:
        return job_details(words, await studio.job(caller, thing_id))


async def _about_studio(interaction: Interaction) -> str:
    words = Words(interaction.locale.value)
    studio = interaction.client.studio
    queue = await studio.queue(caller_of(interaction))
    names = ", ".join(f"`{name}`" for name in studio.catalogue.names())
    lines = [
        words("info.studio"),
        words("info.models", names=shortened(names, MODELS_SHOWN)),
        words("info.queue", running=queue.total_running, waiting=queue.total_waiting),
    ]
    for worker in studio.engine_status().workers:
        if worker.is_alive:
            memory = worker.memory_bytes // 2**20
            lines.append(
                words(
                    "info.worker_alive",
                    device=worker.device,
                    running=worker.running,
                    memory=memory,
                    restarts=worker.restarts,
                )
            )
        else:
            lines.append(words("info.worker_dead", device=worker.device))
    return "\n".join(lines)[:2000]
