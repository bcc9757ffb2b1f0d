"""Fields of a sent form are found wherever Discord nests them."""

from bot.faces.discord.forms import _text_values, text_field


def test_values_are_read_from_labels_and_from_rows():
    components = [
        {"type": 18, "component": {"type": 4, "custom_id": "prompt", "value": "a fox"}},
        {"type": 1, "components": [{"type": 4, "custom_id": "name", "value": "wave"}]},
        {"type": 10, "content": "no field"},
    ]
    assert dict(_text_values(components)) == {"prompt": "a fox", "name": "wave"}


def test_a_field_is_filled_in_as_far_as_it_takes():
    field = text_field("prompt", "x" * 60, value="y" * 20, max_length=10)
    assert field.text == "x" * 45
    assert field.component.default == "y" * 10
