"""/blend, /dream, /morph and /upscale in an in-memory Discord."""

import asyncio
from dataclasses import replace

import pytest

from bot.faces.discord.delivery import DiscordDeliverer
from bot.studio.contract import Caller
from engine.api import Blend, Dream, Morph, Upscale, read_parameters
from engine.media.video import video_frames
from tests.integration.bot.faces.discord.stage import (
    attached,
    gallery_items,
    labels,
    parts,
    png_bytes,
    text,
)
from tests.tiny_gan import NAME

FOX, OWL = ("fox.png", png_bytes(96)), ("owl.png", png_bytes(64, "red"))


def has_button(message, start: str) -> bool:
    return message is not None and any(
        str(part.get("custom_id", "")).startswith(start) for part in parts(message)
    )


async def delivered(stage, result):
    """The message of a result that can't be remixed."""
    await stage.until(lambda: has_button(result.response, "favourite:"))
    return result.response


async def newest(stage, member):
    [job] = (await stage.studio.history(Caller(owner_id=member.id), limit=1))[0]
    return job


async def test_blend_mixes_attachments_with_weights_and_words(stage):
    result = await stage.alice.slash(
        stage.channel,
        "blend",
        image1=FOX,
        image2=OWL,
        weights="2:1",
        prompt="a fox --steps 3",
        strength=0.4,
        count=2,
        seed=5,
    )
    message = await stage.delivered(result)
    assert labels(message)[:4] == ["U1", "U2", "V1", "V2"]
    assert "blended" in text(message)
    [request] = stage.engine.requests
    assert isinstance(request, Blend)
    assert (request.weights, request.strength, request.seed) == ((2.0, 1.0), 0.4, 5)
    assert len(request.pictures) == 2


async def test_pictures_of_the_gallery_are_blended_by_their_ids(stage):
    drawn = await stage.delivered(await stage.alice.slash(stage.channel, "imagine", prompt="a fox"))
    assert drawn
    [first, second] = (await newest(stage, stage.alice)).images[:2]
    result = await stage.alice.slash(
        stage.channel, "blend", ids=f"`{first.id}`, {second.id}", weights="1:3"
    )
    await stage.delivered(result)
    request = stage.engine.requests[-1]
    assert isinstance(request, Blend)
    assert (len(request.pictures), request.weights) == (2, (1.0, 3.0))
    assert (await newest(stage, stage.alice)).images[0].parent_id == first.id


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "pictures"),
        ({"image1": FOX}, "pictures"),
        ({"image1": FOX, "ids": "nosuchid"}, "no such image"),
    ],
)
async def test_a_blend_of_too_few_pictures_is_told(stage, given, says):
    result = await stage.alice.slash(stage.channel, "blend", **given)
    assert says in text(result.response)
    assert stage.engine.requests == []


async def test_weights_that_are_none_are_told(stage):
    result = await stage.alice.slash(
        stage.channel, "blend", image1=FOX, image2=OWL, weights="two of it"
    )
    assert "weights are numbers" in text(result.response)


async def test_dreams_come_as_a_grid_whose_tiles_are_walked_from(stage):
    result = await stage.alice.slash(stage.channel, "dream", look="moon", seed=9)
    message = await stage.delivered(result)
    assert labels(message)[:4] == ["U1", "U2", "U3", "U4"]
    assert "a dream of moon" in text(message)
    await stage.delivered(await stage.alice.click(message, label="V3"))
    first, near = stage.engine.requests
    assert isinstance(first, Dream)
    assert isinstance(near, Dream)
    assert (first.seed, first.look, near.origin, near.distance) == (9, "moon", 11, 0.5)
    await stage.delivered(await stage.alice.click(message, label="Reroll"))
    again = stage.engine.requests[-1]
    assert isinstance(again, Dream)
    assert again.origin is None
    assert again.seed != 9


async def test_looks_are_completed(stage):
    found = await stage.alice.autocomplete(stage.channel, "dream", "look", "mo")
    assert [choice["value"] for choice in found] == ["moon"]
    models = await stage.alice.autocomplete(stage.channel, "imagine", "model", "", prompt="a fox")
    assert NAME not in [choice["value"] for choice in models]


async def test_dreams_like_an_attachment(stage):
    result = await stage.alice.slash(stage.channel, "dream", like=FOX, count=1)
    await stage.delivered(result)
    [request] = stage.engine.requests
    assert isinstance(request, Dream)
    assert request.like
    assert request.distance == 0


async def test_a_morph_moves_and_has_the_buttons_that_make_sense(stage):
    result = await stage.alice.slash(
        stage.channel, "morph", from_image=FOX, to="an owl --steps 3", frames=5, seconds=1.0
    )
    message = await delivered(stage, result)
    assert attached(stage, message).n_frames == 5
    [item] = gallery_items(message)
    assert item["description"].startswith("Animation that turns one picture into another")
    assert labels(message) == [
        "Reroll",
        "Restyle",
        "Favourite",
        "Delete",
        "",
        "Private or public",
    ]
    [request] = stage.engine.requests
    assert isinstance(request, Morph)
    assert (request.frames, len(request.stops)) == (5, 2)


async def test_stops_are_words_seeds_and_ids(stage):
    fox = (await stage.imagine()) and (await newest(stage, stage.alice)).images[0]
    result = await stage.alice.slash(
        stage.channel,
        "morph",
        **{"from": fox.id, "to": "77", "more": "an owl --steps 3 | a hill", "frames": 8},
    )
    await delivered(stage, result)
    request = stage.engine.requests[-1]
    assert isinstance(request, Morph)
    kinds = [(bool(stop.picture), bool(stop.prompt), stop.seed) for stop in request.stops]
    assert kinds == [
        (True, False, None),
        (False, False, 77),
        (False, True, None),
        (False, True, None),
    ]


async def test_a_morph_of_one_stop_is_told_what_it_needs(stage):
    result = await stage.alice.slash(stage.channel, "morph", to="a fox")
    assert "2 to 6 stops" in text(result.response)


async def test_a_large_morph_is_made_to_fit_the_chat(stage):
    result = await stage.alice.slash(stage.channel, "morph", from_image=FOX, to_image=OWL)
    await delivered(stage, result)
    job = await newest(stage, stage.alice)
    moving = await stage.studio.image_file(Caller(owner_id=stage.alice.id), job.images[0].id)
    limit = len(moving) // 2
    address = {**job.destination.address, "limit_bytes": limit}
    smaller = replace(job, destination=replace(job.destination, address=address))
    deliverer = DiscordDeliverer(stage.clients[-1])
    await stage.outside.run(asyncio.ensure_future, deliverer.deliver(smaller, (moving,)))
    [attachment] = result.response.attachments
    assert attachment.filename.endswith(".mp4"), "a fraction of the bytes"
    assert attachment.size <= limit
    frames, _ = video_frames(stage.env.backend.cdn.get(attachment.url))
    assert len(frames) == 24


async def test_a_morph_is_a_video_where_that_is_asked_for(stage):
    result = await stage.alice.slash(
        stage.channel, "morph", from_image=FOX, to_image=OWL, frames=4, file="mp4"
    )
    message = await delivered(stage, result)
    [attachment] = message.attachments
    assert attachment.filename.endswith(".mp4")
    assert dict(read_parameters(stage.env.backend.cdn.get(attachment.url)).others)["Frames"] == "4"
    [item] = gallery_items(message)
    assert "turns one picture into another" in item["description"]


async def test_show_plays_an_animation(stage):
    result = await stage.alice.slash(stage.channel, "morph", from_image=FOX, to_image=OWL, frames=4)
    await delivered(stage, result)
    job = await newest(stage, stage.alice)
    shown = await stage.alice.slash(stage.channel, "show", id=job.images[0].id)
    assert attached(stage, shown.response).n_frames == 4


async def test_upscale_takes_an_attachment_or_an_id_and_a_detail(stage):
    result = await stage.alice.slash(stage.channel, "upscale", image=FOX, factor=4, detail=0.9)
    message = await stage.delivered(result)
    assert attached(stage, message).size == (384, 384)
    [request] = stage.engine.requests
    assert isinstance(request, Upscale)
    assert (request.factor, request.detail) == (4, 0.9)
    image = (await newest(stage, stage.alice)).images[0]
    await stage.delivered(await stage.alice.slash(stage.channel, "upscale", id=image.id))
    assert stage.engine.requests[-1].detail == 0.5


async def test_upscale_needs_something(stage):
    result = await stage.alice.slash(stage.channel, "upscale")
    assert "attach a picture" in text(result.response)


@pytest.mark.parametrize("command", ["blend", "morph"])
async def test_a_private_one_is_seen_by_its_owner_alone(stage, command):
    names = ("image1", "image2") if command == "blend" else ("from_image", "to_image")
    options = dict(zip(names, (FOX, OWL), strict=True))
    result = await stage.alice.slash(stage.channel, command, **options, private=True)
    message = await delivered(stage, result)
    assert message.ephemeral
    assert (await newest(stage, stage.alice)).is_private


@pytest.mark.parametrize(
    ("command", "typed", "names"),
    [
        ("morph", {"from": "a fox", "from_image": FOX, "to": "an owl"}, "from and from_image"),
        ("morph", {"from": "a fox", "to": "an owl", "to_image": FOX}, "to and to_image"),
        ("upscale", {"image": FOX, "id": "abc"}, "image and id"),
        ("dream", {"like": FOX, "like_id": "abc"}, "like and like_id"),
    ],
)
async def test_two_options_that_exclude_each_other_are_refused_by_name(
    stage, command, typed, names
):
    refused = await stage.alice.slash(stage.channel, command, **typed)
    assert refused.ephemeral
    assert f"{names} exclude each other" in text(refused.response)
    assert stage.engine.requests == []
