"""Restyling over the wire."""

import io

from PIL import Image

from tests.e2e.loopback.client import attached, image_of, labels, parts, picture_file, shown, text

PHOTO = picture_file("photo.png", 96)


def options_of(message, begins):
    """The values of the menu whose custom_id begins so."""
    [menu] = [part for part in parts(message) if str(part.get("custom_id", "")).startswith(begins)]
    return [option["value"] for option in menu["options"]]


async def picture_of(loopback, message):
    [item] = shown(message)
    return image_of(await loopback.fetch(item["media"]["url"]))


async def shown_now(loopback, member, message, condition):
    """The message once it has changed as it should."""

    async def look():
        return next(one for one in await member.sees() if one["id"] == message["id"])

    return await loopback.until(look, condition)


async def test_a_picture_takes_several_looks_by_weight(loopback, alice):
    deed = await alice.types(
        "stylize", content=PHOTO, style="udnie:0.4", style_image=picture_file("look.png", 80, "red")
    )
    message = await deed.result()
    assert "in the style of Udnie and another picture" in text(message)
    assert (await picture_of(loopback, message)).size == (96, 96)
    assert "Strengths" in labels(message)


async def test_a_strength_is_chosen_in_the_message_of_a_strip(loopback, alice, bob):
    strip = await (
        await alice.types("stylize", content=PHOTO, style="great-wave", strengths=True)
    ).result()
    assert (await picture_of(loopback, strip)).width > 150
    images = options_of(strip, "strength:")
    assert images[-1] == "all"
    await alice.presses(strip, "strength:", [images[1]])
    single = await shown_now(loopback, alice, strip, lambda now: "Upscale 2×" in labels(now))
    assert (await picture_of(loopback, single)).size == (96, 96)
    copy = await bob.presses(single, "strength:", [images[2]])
    own = await copy.until(lambda seen: seen["followups"], "a copy")
    assert shown(own["followups"][0])
    assert own["followups"][0]["id"] != strip["id"]
    await alice.presses(single, "strength:", ["all"])
    back = await shown_now(loopback, alice, strip, lambda now: "Upscale 2×" not in labels(now))
    assert (await picture_of(loopback, back)).width > 150


async def test_five_steps_lead_from_one_style_to_another(loopback, alice):
    message = await (
        await alice.types(
            "style blend", first="udnie", second="great-wave", share=0.3, content=PHOTO
        )
    ).result()
    [item] = shown(message)
    assert item["description"].startswith("Grid of 5 pictures")


async def test_each_variation_of_an_animation_is_shown(loopback, alice):
    frames = [Image.new("RGB", (40, 30), (37 * number, 9, 9)) for number in range(4)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=50)
    content = attached("cat.gif", file.getvalue())
    deed = await alice.types("stylize", content=content, style="udnie", variations=3)
    seen = await deed.until(
        lambda seen: seen["original"] and "Favourite" in labels(seen["original"]), "animations"
    )
    items = shown(seen["original"])
    assert [item["description"][:4] for item in items] == ["1 of", "2 of", "3 of"]
    moving = [image_of(await loopback.fetch(item["media"]["url"])) for item in items]
    assert [one.n_frames for one in moving] == [4, 4, 4]
    assert not any(label.startswith(("U", "V")) for label in labels(seen["original"]))


async def test_the_library_is_listed_with_pictures(loopback, alice):
    await (await alice.types("style save", name="my-look", picture=PHOTO)).says("my-look")
    listed = await (await alice.types("style list")).says("my-look")
    sheets = [image_of(await loopback.fetch(item["media"]["url"])) for item in shown(listed)]
    assert [sheet.size for sheet in sheets] == [(128, 128), (4 * 132 - 4, 2 * 132 - 4)]
    painting = await (await alice.types("style show", name="udnie")).says("Francis Picabia")
    assert (await picture_of(loopback, painting)).size == (128, 128)
