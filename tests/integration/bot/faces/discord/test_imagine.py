"""From /imagine to the grid, its progress and its refusals."""

from tests.integration.bot.faces.discord.conftest import labels, text


async def test_imagine_ends_in_a_grid_with_buttons_and_alt_text(stage):
    message = await stage.imagine(prompt="a red fox --ar 3:2")
    assert "a red fox" in text(message)
    assert labels(message)[:8] == ["U1", "U2", "U3", "U4", "V1", "V2", "V3", "V4"]
