"""The style networks as the worker uses them, on small random weights read from real files."""

import os
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from engine.calls import (
    ChangeGradient,
    ContentFeatures,
    DescribeStyle,
    FirstChange,
    NetworkRef,
    PresetPicture,
    Recall,
    Remember,
    Restyle,
    StyleCode,
    StyleGradient,
    StylePreset,
)
from engine.errors import ModelUnavailable, Unsupported
from engine.models import notebook
from engine.models.families import style as family
from engine.models.families import style_files
from engine.networks.style import StyleConfig, StyleTransfer
from engine.networks.weights import save_network
from engine.style import optimisers
from engine.style.learning import begun, encode_change, learnt

STYLE = NetworkRef("style")


def pixels(seed, *shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(6)
    network = StyleTransfer(StyleConfig(widths=(4, 6, 8, 8)))
    save_network(tmp_path, "style", network)
    return tmp_path


@pytest.fixture
def networks(folder):
    found = family.StyleNetworks(torch.device("cpu"), folder=folder, precision=torch.float32)
    (style,) = found.execute([DescribeStyle(STYLE, pixels(9, 1, 3, 40, 40))])
    save_file(style_files.preset_tensors("waves", style), folder / style_files.PRESETS)
    return found


def test_calls_that_share_a_pass_get_what_they_get_alone(networks):
    calls = []
    for seed, rows in ((1, 1), (2, 2)):
        own, code = (
            networks.execute([StyleCode(STYLE, pixels(seed + k, rows, 3, 32, 32))])[0]
            for k in (0, 10)
        )
        calls.append(
            Restyle(STYLE, pixels(seed, rows, 3, 32, 32), code, torch.full((rows,), 0.6), own)
        )
    together = networks.execute(calls)
    for call, shared in zip(calls, together, strict=True):
        assert shared.shape == call.pixels.shape
        assert torch.allclose(shared, networks.execute([call])[0], atol=1e-5)


def test_half_precision_paints_the_same_picture_and_each_row_as_alone(folder):
    exact, quick = (
        family.StyleNetworks(torch.device("cpu"), folder=folder, precision=precision)
        for precision in (torch.float32, torch.bfloat16)
    )
    (code,) = exact.execute([StyleCode(STYLE, pixels(11, 2, 3, 32, 32))])
    call = Restyle(STYLE, pixels(1, 2, 3, 32, 32), code, torch.ones(2))
    (precise,), (near,) = exact.execute([call]), quick.execute([call])
    assert near.dtype == torch.float32
    assert not torch.equal(near, precise)
    assert (near - precise).abs().max() < 0.02 * (precise.max() - precise.min())
    alone = replace(call, pixels=call.pixels[1:], code=code[1:], strength=torch.ones(1))
    assert torch.allclose(quick.execute([alone])[0][0], near[1], atol=2e-3)


def test_the_gradient_is_that_of_the_loss_and_each_rows_own(networks):
    x, content = pixels(1, 2, 3, 16, 16), pixels(2, 2, 3, 16, 16)
    (features,) = networks.execute([ContentFeatures(STYLE, content)])
    styles = [networks.execute([DescribeStyle(STYLE, pixels(s, 1, 3, 24, 24))])[0] for s in (3, 4)]
    grams = tuple(torch.cat(pair) for pair in zip(*(s.grams for s in styles), strict=True))
    whole = StyleGradient(STYLE, x, features, grams, torch.tensor([1.0, 5.0]))
    (loss, gradient) = networks.execute([whole])[0]
    step = 1e-2 * gradient / gradient.flatten(1).norm(dim=1)[:, None, None, None]
    (nearer, _) = networks.execute(
        [StyleGradient(STYLE, x - step, features, grams, torch.tensor([1.0, 5.0]))]
    )[0]
    (further, _) = networks.execute(
        [StyleGradient(STYLE, x + step, features, grams, torch.tensor([1.0, 5.0]))]
    )[0]
    slope = 1e-2 * gradient.flatten(1).norm(dim=1)
    assert torch.allclose((further - nearer) / 2, slope, rtol=0.05)
    alone = StyleGradient(
        STYLE, x[:1], features[:1], tuple(g[:1] for g in grams), torch.tensor([1.0])
    )
    assert torch.allclose(networks.execute([alone])[0][1], gradient[:1], atol=1e-6)
    assert loss.shape == (2,)


def fine_detail(picture):
    grey = picture.mean(1, keepdim=True)
    return (grey - functional.avg_pool2d(grey, 5, 1, 2, count_include_pad=False)).flatten()


@pytest.mark.parametrize("descent", [optimisers.adam, optimisers.lbfgs])
@pytest.mark.parametrize("is_sliced", [False, True])
def test_the_fine_detail_of_an_optimised_picture_is_the_contents_and_no_grid(descent, is_sliced):
    shipped = family.StyleNetworks(torch.device("cpu"))
    content, style = (
        functional.interpolate(shipped.execute([PresetPicture(name)])[0][None], size=(64, 64))
        for name in ("woman-with-hat", "great-wave")
    )
    (look,) = shipped.execute([DescribeStyle(STYLE, style, is_sliced=is_sliced)])
    (features,) = shipped.execute([ContentFeatures(STYLE, content)])
    call = StyleGradient(STYLE, content, features, look.grams, torch.tensor([2.0]), look.slices)
    steps = descent(content, 25)
    x = next(steps)
    while True:
        ((loss, gradient),) = shipped.execute([replace(call, pixels=x)])
        try:
            x = steps.send((float(loss), gradient))
        except StopIteration as end:
            found = torch.stack([fine_detail(end.value), fine_detail(content)])
            break
    assert torch.corrcoef(found)[0, 1] > 0.7


def test_gradients_that_outgrow_the_caches_are_computed_piece_by_piece(networks, monkeypatch):
    (style,) = networks.execute([DescribeStyle(STYLE, pixels(3, 1, 3, 24, 24))])
    (features,) = networks.execute([ContentFeatures(STYLE, pixels(2, 3, 3, 16, 16))])
    x = pixels(1, 3, 3, 16, 16)
    calls = [
        StyleGradient(STYLE, x[n : n + 1], features[n : n + 1], style.grams, torch.ones(1))
        for n in range(3)
    ]
    sizes = []
    hook = networks._transfer.encoder.register_forward_hook(
        lambda _module, args, _out: sizes.append(len(args[0]))
    )
    together = networks.execute(calls)
    monkeypatch.setattr(family, "CACHED_PIXELS", 2 * 16 * 16)
    in_pieces = networks.execute(calls)
    hook.remove()
    assert sizes == [3, 2, 1]
    for (loss, gradient), (own, part) in zip(together, in_pieces, strict=True):
        assert torch.allclose(loss, own, rtol=1e-5)
        assert torch.allclose(gradient, part, atol=1e-6)


def test_a_preset_comes_back_as_it_was_stored(networks):
    (stored,) = networks.execute([StylePreset(STYLE, "waves")])
    (again,) = networks.execute([DescribeStyle(STYLE, pixels(9, 1, 3, 40, 40))])
    assert torch.allclose(stored.code, again.code, rtol=2e-3, atol=1e-3)
    assert torch.allclose(stored.grams[2], again.grams[2], rtol=2e-3, atol=1e-3)
    assert networks.preset_names() == ("waves",)


def test_an_unknown_preset_is_answered_with_the_known_ones(networks):
    with pytest.raises(Unsupported, match="choose from waves"):
        networks.execute([StylePreset(STYLE, "cubism")])


def test_vgg19_without_weights_says_so(networks):
    with pytest.raises(Unsupported, match="no weights of VGG-19"):
        networks.execute([DescribeStyle(NetworkRef("vgg19"), pixels(1, 1, 3, 32, 32))])


def test_vgg19_guides_by_grams_and_by_slices_of_pictures_and_paintings(folder, tmp_path):
    state, before = {}, 3
    generator = torch.Generator().manual_seed(3)
    widths = (64, 64, 128, 128, *[256] * 4, *[512] * 8)
    numbers = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
    for number, width in zip(numbers, widths, strict=True):
        weight = torch.randn(width, before, 3, 3, generator=generator)
        state[f"features.{number}.weight"] = weight * (2 / (9 * before)) ** 0.5
        state[f"features.{number}.bias"] = torch.zeros(width)
        before = width
    save_file(state, tmp_path / "vgg19.safetensors")
    vgg = NetworkRef("vgg19")
    networks = family.StyleNetworks(
        torch.device("cpu"), folder=folder, vgg19=tmp_path / "vgg19.safetensors"
    )
    (painting,) = networks.execute([PresetPicture("udnie")])
    assert sorted(painting.shape) == [3, 511, 512]
    (style,) = networks.execute([DescribeStyle(vgg, painting[None], is_sliced=True)])
    assert [gram.shape[1] for gram in style.grams] == [64, 128, 256, 512, 512]
    assert len(style.slices) == 5
    x = pixels(1, 1, 3, 32, 32)
    (content,) = networks.execute([ContentFeatures(vgg, x)])
    weight = torch.ones(1)
    by_grams, by_slices = (
        networks.execute([StyleGradient(vgg, x, content, style.grams, weight, slices)])[0]
        for slices in ((), style.slices)
    )
    assert by_grams[0] != by_slices[0]
    for _, gradient in (by_grams, by_slices):
        assert gradient.shape == x.shape
        assert gradient.abs().max() > 0


def test_a_broken_weights_file_is_named(folder):
    (folder / style_files.WEIGHTS).write_bytes(b"nonsense")
    broken = family.StyleNetworks(torch.device("cpu"), folder=folder)
    with pytest.raises(ModelUnavailable, match="missing or broken"):
        broken.execute([StyleCode(STYLE, pixels(1, 1, 3, 32, 32))])


def test_statistics_of_a_kept_style_are_found_again_without_the_encoder(folder, tmp_path):
    notes, picture = tmp_path / "notes", pixels(3, 1, 3, 40, 40)
    first = family.StyleNetworks(torch.device("cpu"), folder=folder, notes=notes)
    (style,) = first.execute([DescribeStyle(STYLE, picture, is_kept=True)])
    assert len(list(notes.iterdir())) == 1
    second = family.StyleNetworks(torch.device("cpu"), folder=folder, notes=notes)
    seen = []
    second._transfer.encoder.register_forward_hook(lambda *_: seen.append(1))
    (again,) = second.execute([DescribeStyle(STYLE, picture, is_kept=True)])
    assert not seen, "the encoder was not asked"
    assert torch.equal(again.code, style.code), "or the same seed would draw another picture"
    assert torch.equal(again.mean, style.mean)
    assert torch.equal(again.covariance, style.covariance)
    for gram, kept in zip(style.grams, again.grams, strict=True):
        assert torch.equal(gram, kept)
    second.execute([DescribeStyle(STYLE, pixels(4, 1, 3, 40, 40))])
    assert seen, "what is not kept is computed"
    assert len(list(notes.iterdir())) == 1


def test_kept_statistics_of_vgg19_are_of_one_file_alone(folder, tmp_path, monkeypatch):
    """The same picture and name; the operator took other weights in between."""
    monkeypatch.setattr(
        family,
        "VggExtractor",
        lambda _: family.PackExtractor(style_files.read_style_transfer(folder)),
    )
    notes = tmp_path / "notes"
    call = DescribeStyle(NetworkRef("vgg19"), pixels(3, 1, 3, 40, 40), is_kept=True)
    for number, kept in enumerate((1, 2, 2)):
        (tmp_path / "vgg19.pth").write_text(str(kept))
        networks = family.StyleNetworks(
            torch.device("cpu"), folder=folder, vgg19=tmp_path / "vgg19.pth", notes=notes
        )
        monkeypatch.setattr(type(networks), "_vgg19", None)
        networks.execute([call])
        assert len(list(notes.iterdir())) == kept, number


def test_kept_statistics_are_of_one_network_alone(folder, tmp_path):
    notes, picture = tmp_path / "notes", pixels(3, 1, 3, 40, 40)
    call = DescribeStyle(STYLE, picture, is_kept=True)
    family.StyleNetworks(torch.device("cpu"), folder=folder, notes=notes).execute([call])
    torch.manual_seed(7)
    save_network(folder, "style", StyleTransfer(StyleConfig(widths=(4, 6, 8, 8))))
    other = family.StyleNetworks(torch.device("cpu"), folder=folder, notes=notes)
    (style,) = other.execute([call])
    (fresh,) = other.execute([DescribeStyle(STYLE, picture)])
    assert torch.equal(style.code, fresh.code)


def test_damaged_notes_are_computed_anew(folder, tmp_path):
    notes, call = tmp_path / "notes", DescribeStyle(STYLE, pixels(3, 1, 3, 40, 40), is_kept=True)
    family.StyleNetworks(torch.device("cpu"), folder=folder, notes=notes).execute([call])
    for note in notes.iterdir():
        note.write_bytes(b"nonsense")
    again = family.StyleNetworks(torch.device("cpu"), folder=folder, notes=notes)
    assert again.execute([call])[0].code.isfinite().all()


# What is learnt of one style


def learning_call(networks, change, seed=1):
    (style,) = networks.execute([DescribeStyle(STYLE, pixels(9, 1, 3, 40, 40))])
    content = pixels(seed, 2, 3, 32, 32)
    palette = style.mean, style.covariance
    return ChangeGradient(STYLE, change, content, style.code, style.grams, *palette)


def test_the_gradient_of_a_change_agrees_with_finite_differences(networks):
    ((first, _),) = networks.execute([FirstChange(STYLE, 1)])
    generator = torch.Generator().manual_seed(2)
    change = first + 0.05 * torch.randn(len(first), generator=generator)
    ((_, gradient),) = networks.execute([learning_call(networks, change)])
    direction = gradient / gradient.norm()
    losses = [
        networks.execute([learning_call(networks, change + step * direction)])[0][0]
        for step in (0.01, -0.01)
    ]
    slope = float(losses[0] - losses[1]) / 0.02
    assert slope == pytest.approx(float(gradient.norm()), rel=0.05)


def test_a_change_is_taught_in_the_palette_of_the_style(networks):
    ((first, _),) = networks.execute([FirstChange(STYLE, 1)])
    call = learning_call(networks, first)
    ((own, gradient),) = networks.execute([call])
    dark = replace(call, mean=0.1 * call.mean, covariance=0.01 * call.covariance)
    ((other, elsewhere),) = networks.execute([dark])
    assert abs(float(own - other)) > 0.01, "the same drawing is judged in other colours"
    assert not torch.allclose(gradient, elsewhere)
    # The palette is that of the decoder as it ships: a change can not hide behind it.
    ((changed, _),) = networks.execute([replace(call, change=first + 0.3)])
    assert float(changed) > float(own)


def test_a_first_change_changes_nothing_and_steps_lower_the_loss(networks):
    ((first, version),) = networks.execute([FirstChange(STYLE, 1)])
    content = pixels(5, 1, 3, 32, 32)
    (code,) = networks.execute([StyleCode(STYLE, content)])
    call = Restyle(STYLE, content, code.flip(1), torch.ones(1), code)
    changed = replace(call, changes=((encode_change(first, version), 1.0),))
    assert torch.allclose(networks.execute([call])[0], networks.execute([changed])[0], atol=1e-5)
    state, found = begun(first), []
    for _ in range(20):
        ((loss, gradient),) = networks.execute([learning_call(networks, state.change)])
        found.append(float(loss))
        state = learnt(state, gradient, 20)
    assert found[-1] < 0.9 * found[0]
    learned = replace(call, changes=((encode_change(state.change, version), 1.0),))
    assert not torch.allclose(
        networks.execute([call])[0], networks.execute([learned])[0], atol=1e-3
    )


def test_changes_mix_by_their_weights_and_of_other_networks_are_left_out(networks):
    ((first, version),) = networks.execute([FirstChange(STYLE, 1)])
    change = first + 0.1
    content = pixels(5, 1, 3, 32, 32)
    (code,) = networks.execute([StyleCode(STYLE, content)])
    call = Restyle(STYLE, content, code.flip(1), torch.ones(1), code)
    data = encode_change(change, version)
    (whole,) = networks.execute([replace(call, changes=((data, 1.0),))])
    (halves,) = networks.execute([replace(call, changes=((data, 0.5), (data, 0.5)))])
    assert torch.allclose(whole, halves, atol=1e-4)
    (foreign,) = networks.execute([replace(call, changes=((encode_change(change, "x"), 1.0),))])
    assert torch.equal(foreign, networks.execute([call])[0])


def test_what_is_remembered_is_there_after_a_restart_until_it_is_forgotten(folder, tmp_path):
    def ask(*asked):
        fresh = family.StyleNetworks(torch.device("cpu"), folder=folder, notes=tmp_path / "notes")
        return fresh.execute(list(asked))

    assert ask(Recall("a")) == [b""]
    ask(Remember("a", b"one"), Remember("b", b"two"))
    assert ask(Recall("a"), Recall("b")) == [b"one", b"two"]
    ask(Remember("a", b""))
    assert ask(Recall("a"), Recall("b")) == [b"", b"two"]


def test_old_notes_make_room(tmp_path, monkeypatch):
    monkeypatch.setattr(notebook, "MOST_BYTES", 25)
    notes = notebook.Notebook(tmp_path)
    for name in "abc":
        notes.write(name, b"x" * 10)
        for path in tmp_path.iterdir():
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 10))
    assert [bool(notes.read(name)) for name in "abc"] == [False, True, True]
