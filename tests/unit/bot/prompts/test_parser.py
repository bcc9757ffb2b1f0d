import pytest

from bot.prompts import (
    Flags,
    LoraReference,
    PromptError,
    PromptPart,
    Span,
    StyleReference,
    Wildcards,
    parse,
    parse_each,
    without_flags,
)


def part(text: str, weight: float = 1.0) -> PromptPart:
    return PromptPart((Span(text),), weight)


def error_of(text: str) -> tuple[PromptError, str]:
    """The error of a text and the characters it points at."""
    with pytest.raises(PromptError) as caught:
        parse(text)
    error = caught.value
    return error, text[error.position : error.position + error.length]


def test_words_alone_are_one_part_of_weight_one():
    assert parse("a red fox").parts == (part("a red fox"),)


@pytest.mark.parametrize(
    ("typed", "field", "value"),
    [
        ("--ar 3:2", "aspect", (3, 2)),
        ("--aspect 16:9", "aspect", (16, 9)),
        ("--ar 16：9", "aspect", (16, 9)),
        ("--AR=3:2", "aspect", (3, 2)),
        ("--seed 0", "seed", 0),
        ("--seed 4294967295", "seed", 2**32 - 1),
        ("--chaos 100", "chaos", 100),
        ("--c 7", "chaos", 7),
        ("--stylize 1000", "stylize", 1000),
        ("--s 0", "stylize", 0),
        ("--weird 3000", "weird", 3000),
        ("--w 1", "weird", 1),
        ("--quality .25", "quality", 0.25),
        ("--q 2", "quality", 2),
        ("--stop 10", "stop", 10),
        ("--tile", "tile", True),
        ("--iw 2.5", "image_weight", 2.5),
        ("--sw 1000", "style_weight", 1000),
        ("--repeat 2", "repeat", 2),
        ("--r 40", "repeat", 40),
        ("--model sd-1.5", "model", "sd-1.5"),
        ('--model "my model"', "model", "my model"),
        ("--steps 20", "steps", 20),
        ("--guidance 7.5", "guidance_scale", 7.5),
        ("--sampler dpm++2m", "sampler", "dpm++2m"),
        ("--strength 0.6", "strength", 0.6),
        ("--size 512x768", "size", (512, 768)),
        ("--images 1", "images", 1),
        ("--draft", "draft", True),
        ("--fast", "speed", "fast"),
        ("--relax", "speed", "relax"),
        ("--private", "visibility", "private"),
        ("--public", "visibility", "public"),
        ("—chaos 5", "chaos", 5),
        ("–ar 3:2", "aspect", (3, 2)),
    ],
)
def test_a_flag_sets_its_field_and_no_other(typed, field, value):
    parsed = parse(f"a fox {typed}")
    assert parsed.flags == Flags(**{field: value})
    assert parsed.prompt == "a fox"


def test_of_two_weights_of_a_lora_the_last_counts():
    parsed = parse("a fox <lora:ink wash:0.5:0.8>")
    assert (parsed.loras, parsed.prompt) == ((LoraReference("ink wash", 0.8),), "a fox")


@pytest.mark.parametrize(
    "typed",
    [
        "--seed -1",
        "--seed 4294967296",
        "--seed 1.5",
        "--seed 99999999999999999999999999",
        "--seed " + "9" * 5000,
        "--chaos 101",
        "--stylize 1001",
        "--weird 3001",
        "--quality 3",
        "--stop 9",
        "--iw 3.1",
        "--iw nan",
        "--sw 1001",
        "--repeat 1",
        "--steps 0",
        "--guidance 0.5",
        "--guidance 1e999",
        "--strength 1.1",
        "--size 511x512",
        "--size 4096x4096",
        "--images 9",
        "--ar 0:1",
        "--ar 15:1",
        "--ar 1.5:1",
        "--ar wide",
    ],
)
def test_a_value_out_of_range_is_refused_at_its_place(typed):
    name, value = typed.split()
    error, shown = error_of(f"a fox {typed} --tile")
    assert shown == value
    assert "It must be in" in str(error)
    assert name in str(error) or "--stylize" in str(error)


@pytest.mark.parametrize(
    "typed", ["--ar", "--seed --tile", "--no", "--no --tile", "--sref", "--lora"]
)
def test_a_flag_without_its_value_says_how_it_is_written(typed):
    error, shown = error_of(f"a fox {typed}")
    assert shown == typed.split()[0]
    assert f"Write {shown} " in str(error)


def test_an_unknown_flag_names_its_position_and_the_nearest_flag():
    error, shown = error_of("a fox --chaoss 5")
    assert shown == "--chaoss"
    assert str(error) == "At character 7: there is no flag --chaoss. Did you mean --chaos?"


@pytest.mark.parametrize(
    ("glued", "apart"),
    [
        ("--ar16:9", "--ar 16:9"),
        ("--AR16：9", "--ar 16：9"),
        ("—ar16:9", "--ar 16:9"),
        ("--seed5", "--seed 5"),
        ("—seed5", "--seed 5"),
        ("--seed-5", "--seed 5"),
        ("--s250", "--s 250"),
        ("--sw200", "--sw 200"),
        ("--stop80", "--stop 80"),
        ("--steps20", "--steps 20"),
        ("--strength0.5", "--strength 0.5"),
        ("--iw1.5", "--iw 1.5"),
        ("--size512x512", "--size 512x512"),
        ("--aspect3:2", "--aspect 3:2"),
        ("--c30", "--c 30"),
        ("--no-text", "--no text"),
        ("--no水印", "--no 水印"),
        ("--sref7", "--sref 7"),
    ],
)
@pytest.mark.parametrize("behind", ["", " --tile", ", --tile"])
def test_a_value_right_behind_its_flag_is_offered_with_a_space_between(glued, apart, behind):
    text = f"a fox {glued}{behind}"
    error, shown = error_of(text)
    assert shown == glued
    assert error.suggestion == f"Did you mean {apart}?"
    parse(text[: error.position] + apart + text[error.position + error.length :])


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("--stepps", "--steps"),
        ("--styliz", "--stylize"),
        ("--tile2", "--tile"),
        ("--samplers", "--sampler"),
        ("--image", "--images"),
        ("--seeds", "--seed"),
        ("—chaoss", "--chaos"),
    ],
)
def test_a_misspelt_flag_is_not_taken_for_a_shorter_one_with_a_value(typed, near):
    error, shown = error_of(f"a fox {typed} 5")
    assert shown == typed
    assert error.suggestion == f"Did you mean {near}?"


@pytest.mark.parametrize("typed", ["--chaos300", "--ar16:999", "--size500x500", "--q3"])
def test_a_value_right_behind_its_flag_that_can_not_be_is_refused_for_what_it_is(typed):
    error, shown = error_of(f"a fox {typed}")
    assert typed.endswith(shown)
    assert "It must be in" in str(error)


@pytest.mark.parametrize("text", ["the droids —r2 and —c3po", "a fox —beautiful", "wall—e2"])
def test_a_number_behind_a_word_of_prose_is_no_value(text):
    assert parse(text).prompt == text


@pytest.mark.parametrize("text", ["--", "— —", "...", "?!", "-- --tile", "-", "。", "\"\" ''"])
def test_marks_alone_are_nothing_to_show(text):
    assert "there is nothing to show" in str(error_of(text)[0])
    assert parse(text, allow_empty=True)


@pytest.mark.parametrize("text", ["🦊", "❤️", "7", "狐", "é", "☯", "∞", "€", "#️⃣", "🏳️‍🌈 --tile"])
def test_a_single_sign_may_say_what_to_draw(text):
    assert parse(text).parts


def test_a_flag_of_another_studio_leads_to_ours():
    assert "--model" in str(error_of("a fox --v 6")[0])
    assert "--guidance" in str(error_of("a fox --cfg 6")[0])


@pytest.mark.parametrize(
    "text", ["a fox — a red one —beautiful", "狐狸 ——一只红的", "狐狸——private", r"狐狸 \——tile"]
)
def test_a_long_dash_in_prose_stays_prose(text):
    assert parse(text).prompt == text.replace("\\", "")


def test_the_dash_of_chinese_keyboards_begins_a_flag():
    assert parse("一只狐狸 ——ar 3：2 ——tile") == parse("一只狐狸 --ar 3:2 --tile")


def test_a_long_dash_before_a_misspelt_flag_is_not_taken_for_prose():
    assert "Did you mean --chaos?" in str(error_of("a fox —chaoss 5")[0])


def test_dashes_within_words_and_alone_are_no_flags():
    assert (
        parse("well--known fox -- and --5 friends").prompt == "well--known fox -- and --5 friends"
    )


@pytest.mark.parametrize(
    "text",
    [
        "一只猫，--private",
        "一只猫--private",
        "一只猫。--private",
        "a cat,--private",
        "(a cat)--private",
    ],
)
def test_a_flag_may_stand_right_behind_a_mark_or_a_chinese_word(text):
    parsed = parse(text)
    assert parsed.flags.visibility == "private"
    assert "--" not in parsed.prompt


def test_flags_may_stand_right_behind_each_other():
    flags = parse("一只猫，--ar 3:2，--seed 7,--private、--draft").flags
    assert (flags.aspect, flags.seed, flags.visibility, flags.draft) == ((3, 2), 7, "private", True)
    assert without_flags("一只猫，--seed 7，--draft", "seed") == "一只猫， --draft"


@pytest.mark.parametrize(
    "text", ["see a.--b", "猫--private的", "猫—private", r"一只猫，\--private"]
)
def test_what_is_no_known_flag_right_behind_a_mark_is_prose(text):
    assert parse(text).flags == Flags()


def test_an_escaped_dash_begins_no_flag():
    assert parse(r"a \--tile").prompt == "a --tile"


def test_words_after_a_flag_are_refused_rather_than_lost():
    error, shown = error_of("a fox --ar 3:2 in the snow --tile")
    assert shown == "in the snow"
    assert "first flag" in error.suggestion


def test_the_same_flag_twice_is_refused_at_the_second():
    error, _ = error_of("a fox --c 1 --chaos 2")
    assert error.position == len("a fox --c 1 ")


@pytest.mark.parametrize("typed", ["--fast --relax", "--private --public", "--ar 1:1 --size 64x64"])
def test_flags_that_contradict_each_other_are_refused(typed):
    assert "exclude each other" in str(error_of(f"a fox {typed}")[0])


def test_no_makes_a_part_of_weight_minus_a_half_of_each_item():
    parsed = parse("a fox --no text, a frame,，水印 --tile --no blur")
    assert parsed.parts == (
        part("a fox"),
        *(part(avoided, -0.5) for avoided in ("text", "a frame", "水印", "blur")),
    )
    assert parsed.prompt == "a fox"
    assert parsed.negative_prompt == "text, a frame, 水印, blur"


def test_commas_within_brackets_of_no_separate_items_of_the_same_weight():
    assert parse("a fox --no (hands, feet:1.2)").parts[1:] == (
        PromptPart((Span("hands", 1.2),), -0.5),
        PromptPart((Span("feet", 1.2),), -0.5),
    )


def test_parts_take_the_weight_behind_them_and_one_without_a_number():
    assert parse("a::2 b:: c::-.5 d").parts == (part("a", 2), part("b"), part("c", -0.5), part("d"))


def test_a_number_that_goes_on_is_no_weight():
    assert parse("the:: 1st and::2nd").parts == (part("the"), part("1st and"), part("2nd"))


def test_normalised_parts_keep_proportions_and_their_positive_weights_sum_to_one():
    weights = [p.weight for p in parse("a::3 b::1 c::-2").normalised_parts]
    assert weights == pytest.approx([0.75, 0.25, -0.5])


@pytest.mark.parametrize("text", ["a::-1", "a::1 b::-1", "a::0", "a::.5 b::-.6"])
def test_weights_that_do_not_sum_to_more_than_zero_are_refused(text):
    assert "more than 0" in str(error_of(text)[0])


def test_no_never_makes_the_sum_of_weights_too_small():
    assert len(parse("a fox --no a, b, c, d, e").parts) == 6


@pytest.mark.parametrize("text", ["a::nan", "a::inf", "a::1e999", "a::-infinity", "a::1001"])
def test_a_part_weight_that_is_no_usable_number_is_refused(text):
    _, shown = error_of(text)
    assert shown == text.split("::")[1]


def test_links_at_the_front_are_image_prompts():
    parsed = parse(
        " https://cdn.example/a__b__.png?x=1&y={0}".replace("{0}", "2")
        + ", <https://b.example/c> a fox"
    )
    assert parsed.image_prompts == ("https://cdn.example/a__b__.png?x=1&y=2", "https://b.example/c")
    assert parsed.prompt == "a fox"


def test_a_link_behind_words_and_a_path_of_files_are_words():
    parsed = parse("a fox https://a.example/b.png")
    assert parsed.image_prompts == ()
    assert parse("file:///etc/passwd").image_prompts == ()


def test_a_link_alone_is_enough():
    assert parse("https://a.example/b.png").parts == ()


def test_style_references_have_weights_and_may_be_quoted():
    parsed = parse(
        'a fox --sref wave::2 "starry night"::0.5 https://a.example/b.png random --sref k7'
    )
    assert parsed.style_references == (
        StyleReference("wave", 2),
        StyleReference("starry night", 0.5),
        StyleReference("https://a.example/b.png"),
        StyleReference("random"),
        StyleReference("k7"),
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x --sref a::-2", "-2"),
        ("x --sref a::1e9", "1e9"),
        ('x --sref "a"b', "a"),
        ('x --sref ""', ""),
        ("x --lora a:9", "9"),
        ("x --sref 1 2 3 4 5 6 7 8 9", "9"),
    ],
)
def test_a_bad_reference_is_refused_at_its_place(text, shown):
    assert error_of(text)[1] == shown


def test_loras_come_by_flag_or_in_the_brackets_other_studios_use():
    parsed = parse("a <lora:ink wash:0.5> fox <lora:flat> --lora neon:1.2")
    assert parsed.loras == (
        LoraReference("ink wash", 0.5),
        LoraReference("flat"),
        LoraReference("neon", 1.2),
    )
    assert parsed.prompt == "a fox"


@pytest.mark.parametrize(
    "text", ["", "  \n", "\u200b\u2060", "((()))", "::2", "--ar 3:2", "--no cats"]
)
def test_a_prompt_that_shows_nothing_is_refused(text):
    assert "nothing to show" in str(error_of(text)[0])


def test_a_prompt_that_shows_nothing_is_accepted_where_a_picture_speaks():
    assert parse("--strength 0.3", allow_empty=True).flags.strength == 0.3


def test_characters_no_database_holds_are_replaced():
    assert parse("a\0fox \ud83d").prompt == "a fox \N{REPLACEMENT CHARACTER}"


def test_permutations_must_be_expanded_before_parsing():
    error, shown = error_of("a {red, blue} fox")
    assert shown == "{"
    assert "2 prompts" in str(error)


def test_an_error_behind_a_drawn_part_points_into_the_typed_text():
    text = "a {very very red|very very red} __animal__ --chaoss 5"
    with pytest.raises(PromptError) as caught:
        parse(text, wildcards=Wildcards({"animal": ["x"]}), seed=1)
    error = caught.value
    assert text[error.position : error.position + error.length] == "--chaoss"


def test_each_prompt_of_a_text_is_read_with_its_own_flags():
    read = parse_each("{red, blue} fox --ar {1:1, 3:2}")
    assert [text for text, _ in read] == [
        "red fox --ar 1:1",
        "red fox --ar 3:2",
        "blue fox --ar 1:1",
        "blue fox --ar 3:2",
    ]
    assert [parsed for _, parsed in read] == [parse(text) for text, _ in read]


def test_an_error_in_one_of_many_prompts_points_into_the_typed_text():
    text = "a {big red, small} fox --chaos {5, 500} --tile"
    with pytest.raises(PromptError) as caught:
        parse_each(text)
    error = caught.value
    assert text[error.position : error.position + error.length] == "500"


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--v 6", "Leave it out; --model"),
        ("--niji6", "Leave it out; --model"),
        ("--style raw", "Leave it out; --model"),
        ("--cw 50", "Leave it out; of other pictures"),
        ("--stealth", "Did you mean --private?"),
        ("--turbo", "Did you mean --fast?"),
    ],
)
def test_flags_of_other_studios_have_a_cure_that_helps(flag: str, says: str):
    error, shown = error_of(f"a fox {flag}")
    assert says in error.suggestion
    assert shown == flag.split(maxsplit=1)[0]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a fox --repeat 2", "a fox"),
        ("a fox --repeat 2, --ar 3:2", "a fox --ar 3:2"),
        ("a fox --ar 3:2 —r 2 --no text, frame --seed 5", "a fox --ar 3:2 --no text, frame"),
        ('a fox --sref "the --seed 5" --seed=5 --tile', 'a fox --sref "the --seed 5" --tile'),
        ("--seed 5", ""),
        ("a fox \\--seed 5", "a fox \\--seed 5"),
        ("a fox --sed 5 --seed 5", "a fox --sed 5 --seed 5"),
    ],
)
def test_flags_are_left_out_of_a_text_and_all_else_stays(text: str, left: str):
    assert without_flags(text, "seed", "repeat") == left
