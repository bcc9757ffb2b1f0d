"""From what is asked of a restyle to the engine's request."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot.errors import LimitReached, UserError
from bot.studio import restyling
from bot.studio.contract import Detail, Restyling
from bot.studio.restyling import Content, Look
from engine.api import (
    EngineConfig,
    Stride,
    StyleMethod,
    StyleReference,
    Stylize,
    Upload,
    open_catalogue,
)
from engine.media.uploads import Frame

PHOTO = Content(b"png", 3000, 2000, "a red fox")
NIGHT = Look(StyleReference(preset="starry-night"), "The Starry Night")
WAVE = Look(StyleReference(image=b"wave", weight=0.5), "wave")
MODEL = open_catalogue(EngineConfig()).default


def request_of(
    content: Content = PHOTO,
    asked: Restyling | None = None,
    looks: Sequence[Look] = (NIGHT, WAVE),
) -> Stylize:
    return restyling.request_for(content, looks, asked or Restyling(), MODEL, b"")


def test_frames_last_as_long_as_browsers_show_them():
    frames = [
        Frame(png=b"png", width=8, height=8, has_alpha=False, duration_ms=duration_ms)
        for duration_ms in (0, 10, 20, 500)
    ]
    upload = Upload(frames=tuple(frames), format="GIF", is_animated=True, had_credentials=False)
    assert restyling.content_of(upload, "").durations_ms == (100, 100, 20, 500)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("starry night:0.4", ("starry night", 0.4)),
        ("wave", ("wave", 1.0)),
        (" wave : 2 ", ("wave", 2.0)),
        ("wave:", ("wave:", 1.0)),
        ("a:b", ("a:b", 1.0)),
        ("udnie:-0.4", ("udnie", -0.4)),
        ("udnie:1.", ("udnie", 1.0)),
        ("udnie:.5", ("udnie", 0.5)),
        ("udnie:1e1", ("udnie", 10.0)),
        ("udnie: 0,4", ("udnie", 0.4)),
        ("a:1:2", ("a:1", 2.0)),
        (":0.4", ("", 0.4)),
        ("udnie:1st", ("udnie:1st", 1.0)),
    ],
)
def test_a_weight_may_follow_a_name(text: str, read: tuple[str, float]) -> None:
    assert restyling.read_weighted(text) == read


def test_a_large_photograph_becomes_what_is_quick_unless_more_is_asked() -> None:
    assert request_of().size == restyling.USUAL_SIDE
    assert request_of(asked=Restyling(size=4000)).size == 4000
    assert request_of(replace(PHOTO, width=640, height=480)).size == 0, "it keeps its own"
    slow = Restyling(method=StyleMethod.OPTIMISE)
    assert request_of(asked=slow).size == restyling.USUAL_OPTIMISED_SIDE


def test_a_checkpoint_is_asked_for_sizes_it_can_draw() -> None:
    drawn = request_of(asked=Restyling(method=StyleMethod.DIFFUSION))
    assert drawn.size == max(MODEL.size_for(3, 2))
    assert drawn.model == MODEL.name
    with pytest.raises(LimitReached, match="at most 470 pixels a side"):
        request_of(asked=Restyling(method=StyleMethod.DIFFUSION, size=MODEL.max_side + 1))


def test_only_variations_leave_the_style() -> None:
    assert request_of().perturbation == 0
    several = request_of(asked=Restyling(variations=3, seed=7))
    assert (several.image_count, several.seed) == (3, 7)
    assert several.perturbation > 0


def test_detail_is_the_number_of_an_optimisers_iterations() -> None:
    counts = [request_of(asked=Restyling(detail=detail)).iterations for detail in Detail]
    assert counts == sorted(counts)
    assert len(set(counts)) == 3


@pytest.mark.parametrize("variations", [0, 5])
def test_too_many_variations_are_refused_with_the_number(variations: int) -> None:
    with pytest.raises(LimitReached, match=str(variations)):
        request_of(asked=Restyling(variations=variations))


def test_a_blend_goes_from_the_first_style_to_the_second_through_the_asked_share() -> None:
    blend = restyling.blending(request_of(), 0.3)
    assert blend.image_count == 5
    seconds = [second for _, second in blend.image_weights]
    assert seconds == pytest.approx([0, 0.15, 0.3, 0.65, 1])
    assert [first + second for first, second in blend.image_weights] == pytest.approx([1] * 5)
    with pytest.raises(LimitReached, match=r"not 1\.5"):
        restyling.blending(request_of(), 1.5)


def test_rerolling_a_restyle_never_repeats_the_picture() -> None:
    once = request_of(asked=Restyling(seed=1))
    again = restyling.anew(once)
    assert again.seed != once.seed
    assert again.perturbation > 0, "the fast network knows no other chance"
    drawn = request_of(asked=Restyling(method=StyleMethod.DIFFUSION))
    assert restyling.anew(drawn).perturbation == 0, "its noise is chance enough"


def test_varying_one_step_of_a_blend_keeps_its_weights() -> None:
    blend = restyling.blending(request_of(), 0.5)
    near = restyling.near(blend, 1, is_strong=False)
    assert [style.weight for style in near.styles] == [0.75, 0.25]
    assert near.image_weights == ()
    assert near.image_count == 4
    [alone] = restyling.near(blend, 0, is_strong=True).styles
    assert alone.preset == "starry-night"


def test_one_of_several_variations_is_where_others_go_on_from() -> None:
    several = request_of(asked=Restyling(variations=3, seed=7))
    near = restyling.near(several, 2, is_strong=False)
    assert near.path == (Stride(9, restyling.VARIED),)
    assert near.perturbation == restyling.SUBTLY_VARIED
    compared = restyling.compared(several, 2)
    assert (compared.path, compared.perturbation) == (near.path, 0.0)
    further = restyling.near(near, 1, is_strong=True)
    assert further.path == (*near.path, Stride(near.seed + 1, restyling.SUBTLY_VARIED))


def test_words_say_what_is_shown_and_whose_look_it_has() -> None:
    words = restyling.words_for(PHOTO, [NIGHT, WAVE])
    assert words == "a red fox, in the style of The Starry Night and wave"
    assert restyling.without_style(words) == "a red fox"
    assert restyling.words_for(Content(b"", 1, 1), [WAVE]) == "a picture, in the style of wave"


@pytest.mark.parametrize("weight", [0, -1, 1_000_001, float("nan")])
def test_weights_that_make_no_sense_are_refused(weight: float) -> None:
    with pytest.raises(UserError, match="weight"):
        restyling.checked_weight(weight)


def test_an_image_of_a_strip_is_varied_and_compared_at_its_own_strength() -> None:
    strip = request_of(asked=Restyling(strengths=(0.25, 0.5)))
    assert (strip.image_count, strip.image_strengths) == (2, (0.25, 0.5))
    varied = restyling.near(strip, 1, is_strong=False)
    assert (varied.strength, varied.image_strengths) == (0.5, ())
    again = restyling.compared(varied, 0)
    assert again.image_strengths == restyling.STRENGTHS
    assert again.perturbation == 0


def test_what_a_slow_method_made_is_compared_by_the_fast_one() -> None:
    slow = request_of(asked=Restyling(method=StyleMethod.DIFFUSION))
    assert restyling.compared(slow, 0).method is StyleMethod.FAST


@pytest.mark.parametrize(
    "asked",
    [
        Restyling(strengths=(0.5,), variations=2),
        Restyling(strengths=(0.5,), method=StyleMethod.OPTIMISE),
        Restyling(strengths=(0.1,) * 5),
    ],
)
def test_strengths_that_can_not_be_compared_are_refused(asked: Restyling) -> None:
    with pytest.raises(LimitReached, match="strengths"):
        request_of(asked=asked)


def test_an_animation_takes_one_strength() -> None:
    moving = replace(PHOTO, frames=(b"png",), durations_ms=(40, 40))
    with pytest.raises(LimitReached, match="one strength"):
        request_of(moving, Restyling(strengths=(0.5, 1.0)))
    with pytest.raises(LimitReached, match="one strength"):
        restyling.compared(request_of(moving), 0)


def test_a_blend_and_several_strengths_are_not_asked_at_once() -> None:
    with pytest.raises(LimitReached, match="not for both"):
        restyling.blending(request_of(asked=Restyling(strengths=(0.25, 0.5))), 0.3)


def test_more_pixels_than_a_method_works_on_are_refused_with_how_many_it_takes() -> None:
    with pytest.raises(LimitReached, match="1024"):
        request_of(asked=Restyling(method=StyleMethod.OPTIMISE, size=1600))
    square = Content(b"png", 400, 400)
    most = int(MODEL.max_pixels**0.5)
    with pytest.raises(LimitReached, match=str(most)):
        request_of(square, asked=Restyling(method=StyleMethod.DIFFUSION, size=most + 1))
    drawn = request_of(square, asked=Restyling(method=StyleMethod.DIFFUSION, size=most))
    assert drawn.size == most


def test_diffusion_draws_by_the_contents_words_and_the_painter() -> None:
    night = Look(StyleReference(preset="starry-night"), "The Starry Night", "Vincent van Gogh")
    asked = Restyling(method=StyleMethod.DIFFUSION)
    [part] = request_of(looks=[night, WAVE], asked=asked).prompt
    assert part.text.startswith("a red fox, an expressive painting")
    assert part.text.endswith("in the style of The Starry Night by Vincent van Gogh")
    [plain] = request_of(Content(b"png", 9, 9), looks=[WAVE], asked=asked).prompt
    assert plain.text == "an expressive painting with visible brush strokes"
