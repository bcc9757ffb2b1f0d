import torch

from engine.style.target import Style, blended, perturbed


def a_style(seed):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(1, 4, 30, generator=generator)
    return Style(
        torch.rand(1, 8, generator=generator),
        (features @ features.mT / 30,),
        torch.rand(1, 3, generator=generator),
        torch.eye(3)[None],
    )


def test_blending_takes_the_weighted_mean_whatever_the_weights_add_up_to():
    first, second = a_style(1), a_style(2)
    mixed = blended([first, second], [3.0, 9.0])
    assert torch.allclose(mixed.code, 0.25 * first.code + 0.75 * second.code)
    assert torch.allclose(mixed.grams[0], 0.25 * first.grams[0] + 0.75 * second.grams[0])
    assert len(mixed) == 1


def test_a_style_blended_with_itself_is_itself():
    style = a_style(3)
    assert torch.allclose(blended([style, style], [1.0, 1.0]).code, style.code)


def test_perturbation_depends_on_the_generator_alone():
    style = a_style(4)
    same = [perturbed(style, 0.2, torch.Generator().manual_seed(9)).code for _ in range(2)]
    other = perturbed(style, 0.2, torch.Generator().manual_seed(10)).code
    assert torch.equal(same[0], same[1])
    assert not torch.equal(same[0], other)


def test_a_perturbed_gram_matrix_is_still_one():
    gram = perturbed(a_style(5), 0.5, torch.Generator().manual_seed(1)).grams[0]
    assert torch.allclose(gram, gram.mT)
    assert torch.linalg.eigvalsh(gram).min() > -1e-5


def test_no_perturbation_changes_nothing():
    style = a_style(6)
    assert perturbed(style, 0.0, torch.Generator()) is style
