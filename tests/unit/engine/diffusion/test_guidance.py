import math
from dataclasses import replace

import pytest
import torch

from engine.calls import Conditioning, NetworkRef
from engine.diffusion import conditioning, guidance
from engine.diffusion.prediction import ModelFacts, Prediction
from engine.diffusion.unsaid import CODES, code_of_seed
from engine.requests import PromptPart, Span, TextToImage, plain

FACTS = ModelFacts(prediction=Prediction.EPS, latent_channels=4)
FOX = TextToImage(model="m", prompt=plain("a fox"), seed=1, guidance_scale=4.0)
TWO = (PromptPart((Span("fox"),), 3.0), PromptPart((Span("snow"),), 1.0))


def encoded(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn((count, 7, 16), generator=generator)
    return Conditioning(tokens, tokens.mean(1), torch.zeros(count, 0))


def steered(request, seeds=(1, 2), facts=FACTS):
    words = guidance.wording(request, facts)
    return guidance.guidance_of(request, facts, words, encoded(len(words.texts)), seeds)


def estimate(blocks, images=2, seed=5):
    return torch.randn((blocks * images, 4, 6, 6), generator=torch.Generator().manual_seed(seed))


def test_guidance_leads_from_the_negative_estimate_through_the_positive():
    denoised = estimate(2)
    positive, negative = denoised[:2], denoised[2:]
    combined = guidance.combined(denoised, steered(FOX))
    torch.testing.assert_close(combined, negative + 4 * (positive - negative))


def test_parts_are_mixed_by_their_share_of_the_weight():
    denoised = estimate(3)
    fox, snow, negative = denoised.split(2)
    combined = guidance.combined(denoised, steered(replace(FOX, prompt=TWO)))
    mixed = 0.75 * fox + 0.25 * snow
    torch.testing.assert_close(combined, negative + 4 * (mixed - negative))


def test_without_guidance_the_estimate_is_the_prompts_own():
    denoised = estimate(1)
    off = steered(replace(FOX, guidance_scale=1.0))
    assert len(off.conditioning) == 2
    assert torch.equal(guidance.combined(denoised, off), denoised)


def test_rescaled_guidance_has_the_spread_of_the_prompts_own_estimate():
    denoised = estimate(2)
    combined = guidance.combined(denoised, replace(steered(FOX), rescale=1.0))
    torch.testing.assert_close(combined.std((1, 2, 3)), denoised[:2].std((1, 2, 3)))
    halfway = guidance.combined(denoised, replace(steered(FOX), rescale=0.5))
    assert (halfway.std((1, 2, 3)) > combined.std((1, 2, 3))).all()


def test_one_call_asks_for_all_rows_with_the_conditioning_of_each():
    guide = steered(replace(FOX, prompt=TWO))
    x = torch.randn((2, 4, 6, 6), generator=torch.Generator().manual_seed(3))
    sampling = guidance.guided(NetworkRef("m"), guide)(x, 2.5)
    call = next(sampling)
    assert torch.equal(call.x, torch.cat([x, x, x]))
    assert call.sigma.tolist() == [2.5] * 6
    rows = encoded(3).tokens
    assert torch.equal(call.conditioning.tokens, rows[[0, 0, 1, 1, 2, 2]])


def test_new_images_are_told_what_their_seed_decides_and_edits_are_told_nothing():
    facts = replace(FACTS, unsaid=CODES)
    words = guidance.wording(FOX, facts)
    count = len(words.texts)
    rows = replace(encoded(count), extra=torch.zeros(count, CODES))
    new = guidance.guidance_of(FOX, facts, words, rows, (1, 2))
    wanted = torch.stack([code_of_seed(1), code_of_seed(2)] * 2)  # of both the prompt and none
    assert torch.equal(new.conditioning.extra, wanted)
    edit = guidance.guidance_of(FOX, facts, words, rows, (1, 2), is_new=False)
    assert not edit.conditioning.extra.any()


def test_the_own_look_of_a_model_changes_nothing():
    guide = steered(FOX)
    assert guide.scales.tolist() == [4.0, 4.0]
    assert guide.rescale == 0
    assert torch.equal(guide.conditioning.tokens[0], encoded(2).tokens[0])


def test_less_stylize_is_plainer_and_more_is_bolder():
    assert steered(replace(FOX, stylize=0)).rescale > steered(replace(FOX, stylize=50)).rescale > 0
    bolder = [float(steered(replace(FOX, stylize=s)).scales[0]) for s in (100, 300, 1000)]
    assert bolder == sorted(bolder)
    assert len(set(bolder)) == 3
    off = steered(replace(FOX, guidance_scale=1.0, stylize=1000, chaos=100))
    assert off.scales.tolist() == [1.0, 1.0]


def test_the_house_look_takes_a_share_that_grows_with_stylize():
    facts = replace(FACTS, house_prompt="glossy")
    shares = [
        guidance.wording(replace(FOX, stylize=s), facts).weights for s in (100, 101, 400, 1000)
    ]
    assert shares[0] == (1.0,)
    assert all(sum(share) == pytest.approx(1) for share in shares)
    assert 0 < shares[1][1] < shares[2][1] < shares[3][1] == pytest.approx(guidance.HOUSE_SHARE)


def test_chaos_spreads_the_images_of_a_request():
    calm, wild = (steered(replace(FOX, chaos=chaos), seeds=range(8)) for chaos in (0, 100))
    assert float(calm.scales.std()) == 0
    assert float(wild.scales.std()) > 0.2
    tokens = wild.conditioning.tokens
    assert float((tokens[0] - tokens[1]).norm()) > 0.3 * float(tokens[0].norm())


@pytest.mark.parametrize("change", [{"chaos": 80}, {"weird": 2000}])
def test_an_image_strays_by_its_own_seed_alone(change):
    together, alone = steered(replace(FOX, **change), (1, 2, 3)), steered(FOX, (2,))
    alone = steered(replace(FOX, **change), (2,))
    assert torch.equal(together.conditioning.tokens[1], alone.conditioning.tokens[0])
    assert float(together.scales[1]) == float(alone.scales[0])


def test_straying_turns_the_conditioning_and_keeps_its_length():
    row = conditioning.rows(encoded(1), [0])
    for weird, angle in ((3000, conditioning.WEIRD_ANGLE), (1500, conditioning.WEIRD_ANGLE / 2)):
        strayed = conditioning.strayed(row, 4, weird=weird, chaos=0)
        for before, after in ((row.tokens, strayed.tokens), (row.pooled, strayed.pooled)):
            torch.testing.assert_close(after.norm(dim=-1), before.norm(dim=-1))
            cosine = torch.cosine_similarity(before, after, dim=-1)
            torch.testing.assert_close(cosine, torch.full_like(cosine, math.cos(angle)))


def test_zero_conditioning_stays_zero():
    zero = Conditioning(torch.zeros(1, 3, 4), torch.zeros(1, 0), torch.zeros(1, 0))
    strayed = conditioning.strayed(zero, 4, weird=3000, chaos=100)
    assert not strayed.tokens.any()


def test_the_strongest_negative_part_keeps_its_weights():
    prompt = (
        PromptPart((Span("fox"),)),
        PromptPart((Span("hat", 1.2),), -1.0),
        PromptPart((Span("snow"),), -0.5),
    )
    assert conditioning.negative_row(prompt) == (Span("hat", 1.2), Span(", "), Span("snow", 0.5))
    assert conditioning.negative_row(plain("fox")) == ()
