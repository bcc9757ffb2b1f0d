"""The context menus of a message."""

from bot.faces.discord import addresses
from bot.studio.contract import Caller, Operation
from tests.integration.bot.faces.discord.stage import labels, png_bytes, text


async def newest_job(stage, member):
    jobs, _ = await stage.studio.history(Caller(owner_id=member.id), limit=1)
    return jobs[0]


async def test_make_again_takes_our_record_of_a_result(stage):
    grid = await stage.imagine(prompt="a fox --seed 5")
    again = await stage.bob.context_menu(stage.channel, "Make again", grid.message)
    await stage.delivered(again)
    first, second = stage.engine.requests
    assert (first.seed, first.prompt) == (second.seed, second.prompt)
    assert (await newest_job(stage, stage.bob)).operation is Operation.MAKE_AGAIN


async def test_make_again_of_what_one_alone_sees_is_seen_by_one_alone(stage):
    secret = await stage.imagine(private=True)
    again = await stage.alice.context_menu(stage.channel, "Make again", secret)
    assert (await stage.delivered(again)).ephemeral
    assert [message.ephemeral for message in stage.messages()] == [True, True]


async def test_make_again_reads_the_parameters_of_an_uploaded_png(stage):
    await stage.imagine(prompt="a fox", seed=5, count=1)
    image = (await newest_job(stage, stage.alice)).images[0]
    png = await stage.studio.image_png(Caller(owner_id=stage.alice.id), image.id)
    posted = await stage.bob.send(stage.channel, attachments=[("mine.png", png)])
    await stage.delivered(await stage.bob.context_menu(stage.channel, "Make again", posted))
    first, second = stage.engine.requests
    assert first.seed == second.seed


async def test_make_again_explains_a_picture_without_parameters(stage):
    posted = await stage.bob.send(stage.channel, attachments=[("photo.png", png_bytes())])
    result = await stage.bob.context_menu(stage.channel, "Make again", posted)
    assert "does not say what made it" in text(result.response)


async def test_a_message_without_picture_is_explained(stage):
    posted = await stage.bob.send(stage.channel, "hello")
    for name in ("Make again", "Use as style", "Info"):
        result = await stage.bob.context_menu(stage.channel, name, posted)
        assert "no picture" in text(result.response)


async def test_info_tells_of_a_result(stage):
    grid = await stage.imagine(prompt="a fox --seed 5")
    result = await stage.bob.context_menu(stage.channel, "Info", grid.message)
    assert result.ephemeral
    assert "seed 8" in text(result.response)


async def test_info_tells_of_a_picture_that_was_opened_from_the_gallery(stage):
    await stage.imagine(count=1)
    image = (await newest_job(stage, stage.alice)).images[0]
    shown = await stage.alice.slash(stage.channel, "show", id=image.id)
    told = await stage.bob.context_menu(stage.channel, "Info", shown.response.message)
    assert f"**Picture** `{image.id}`" in text(told.response)


async def test_info_reads_what_a_posted_picture_says_of_itself(stage):
    await stage.imagine(prompt="a quiet fox", seed=5, count=1)
    image = (await newest_job(stage, stage.alice)).images[0]
    png = await stage.studio.image_png(Caller(owner_id=stage.alice.id), image.id)
    posted = await stage.bob.send(stage.channel, attachments=[("mine.png", png)])
    told = await stage.bob.context_menu(stage.channel, "Info", posted)
    assert told.ephemeral
    assert "a quiet fox" in text(told.response)
    assert "Seed: 5" in text(told.response)


async def test_the_picture_of_a_forwarded_message_is_found(stage):
    result = await stage.imagine(prompt="a quiet fox", seed=5, count=1)
    forwarded = await stage.bob.forward(result.message, stage.channel)
    told = await stage.bob.context_menu(stage.channel, "Info", forwarded)
    assert "a quiet fox" in text(told.response)


async def test_info_explains_a_picture_that_says_nothing(stage):
    posted = await stage.bob.send(stage.channel, attachments=[("photo.png", png_bytes())])
    told = await stage.bob.context_menu(stage.channel, "Info", posted)
    assert "does not say what made it" in text(told.response)


async def test_a_picture_used_as_style_is_saved_and_can_be_drawn_with(stage):
    posted = await stage.bob.send(stage.channel, attachments=[("wave.png", png_bytes())])
    saved = await stage.bob.context_menu(stage.channel, "Use as style", posted)
    assert saved.ephemeral
    [name] = await stage.studio.style_names(Caller(owner_id=stage.bob.id))
    assert name in text(saved.response)
    form = await stage.bob.click(saved.response, label=labels(saved.response)[0])
    drawn = await stage.bob.submit_modal(form, {"prompt": "a ship"})
    await stage.delivered(drawn)
    [request] = stage.engine.requests
    assert len(request.style_references) == 1


async def test_a_picture_that_the_menu_of_looks_could_not_hold_is_refused_with_the_limit(
    stage, monkeypatch
):
    monkeypatch.setattr(addresses, "REQUEST_BYTES", 100)
    posted = await stage.alice.send(stage.channel, attachments=[("fox.png", png_bytes())])
    refused = await stage.alice.context_menu(stage.channel, "Restyle", posted)
    assert "fox.png is larger than 0 MiB" in text(refused.response)
