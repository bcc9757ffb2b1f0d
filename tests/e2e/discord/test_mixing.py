"""Blends, animations and larger pictures over the wire."""

from engine.api import is_video
from tests.e2e.loopback.client import image_of, labels, picture_file, shown, text

FOX, OWL = picture_file("fox.png", 96), picture_file("owl.png", 64, "red")


async def test_pictures_are_blended(loopback, alice):
    deed = await alice.types("blend", image1=FOX, image2=OWL, weights="2:1", count=2)
    message = await deed.result()
    assert labels(message)[:4] == ["U1", "U2", "V1", "V2"]
    assert "blended" in text(message)
    assert not (await loopback.report())["violations"]


async def test_a_morph_arrives_as_an_animation_with_alt_text(loopback, alice):
    deed = await alice.types("morph", from_image=FOX, to="an owl --steps 3", frames=5, seconds=1.0)
    message = await deed.result()
    [item] = shown(message)
    assert item["description"].startswith("Animation that turns one picture into another")
    moving = image_of(await loopback.fetch(item["media"]["url"]))
    assert (moving.format, moving.n_frames) == ("WEBP", 5)
    assert "Favourite" in labels(message)
    assert not (await loopback.report())["violations"]


async def test_an_attachment_is_enlarged(loopback, alice):
    message = await (await alice.types("upscale", image=FOX, detail=0.9)).result()
    [item] = shown(message)
    assert image_of(await loopback.fetch(item["media"]["url"])).size == (192, 192)


async def test_dreams_arrive_as_a_grid_that_is_walked_on_from(loopback, alice):
    message = await (await alice.types("dream", seed=7, count=4)).result()
    [item] = shown(message)
    assert item["description"].startswith("Grid of 4 pictures. Image drawn without words")
    assert image_of(await loopback.fetch(item["media"]["url"])).width > 256
    walked = await (await alice.presses(message, "V2")).result()
    assert "a dream" in text(walked)
    assert not (await loopback.report())["violations"]


async def test_a_morph_arrives_as_a_video_where_that_is_asked_for(loopback, alice):
    deed = await alice.types("morph", from_image=FOX, to_image=OWL, frames=5, file="mp4")
    message = await deed.result()
    [item] = shown(message)
    assert ".mp4" in item["media"]["url"]
    assert item["description"].startswith("Animation that turns one picture into another")
    assert is_video(await loopback.fetch(item["media"]["url"]))
    assert not (await loopback.report())["violations"]
