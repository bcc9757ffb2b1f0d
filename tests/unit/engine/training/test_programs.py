"""What the training programs check before they begin, and what they write."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from engine.config import EngineConfig
from engine.models import inspection
from engine.models.catalogue import open_catalogue
from engine.models.families.pack import DRAFT, make_draft, read_networks
from engine.networks.denoiser import Denoiser
from engine.networks.lora import lora_of
from engine.networks.weights import BrokenWeights, network_files, read_network
from engine.training import programs
from engine.training.distil_text import DistilText
from engine.training.few_steps import LEARNING_RATE
from engine.training.job import PACK, Job
from engine.training.kept import DENOISER, fill
from engine.training.loop import AVERAGE, Budget, NotSaved, replace_weights
from engine.training.programs import MissingTeacher, export, prepare_scenes
from tests.tiny_teacher import write_teacher
from tests.unit.engine.training.test_own_data import picture

pytestmark = pytest.mark.usefixtures("one_thread")


def job(tmp_path, **changes):
    values = {"data": tmp_path, "out": tmp_path / "out", "budget": Budget(images=1)}
    return Job(**values | {"pack": tmp_path / "our pack"} | changes)


def test_a_pack_without_its_teacher_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(MissingTeacher, match="--teacher"):
        programs.train_pack(job(tmp_path))
    (tmp_path / "teacher").mkdir()
    with pytest.raises(MissingTeacher, match=r"config\.json is not there"):
        programs.train_pack(job(tmp_path, teacher=tmp_path / "teacher"))
    assert not (tmp_path / "out").exists()


def test_scenes_are_made_anew_for_another_seed_and_kept_by_a_run_that_goes_on(tmp_path, captions):
    first = job(tmp_path, scenes=8, seed=1)
    prepare_scenes(first)
    scenes = tmp_path / "out" / "store" / "scenes_00000.npy"
    before = scenes.read_bytes()
    prepare_scenes(job(tmp_path, scenes=8, seed=2, resume=True))
    assert scenes.read_bytes() == before
    prepare_scenes(job(tmp_path, scenes=8, seed=2))
    assert scenes.read_bytes() != before


@pytest.fixture
def captions(tmp_path):
    picture(3).save(tmp_path / "a.png")
    (tmp_path / "captions.tsv").write_text("file\tname\na.png\ta harbour\n")


def test_what_is_there_already_is_not_begun_again(tmp_path, captions, monkeypatch):
    prepare_scenes(job(tmp_path, scenes=8))
    monkeypatch.setattr(programs, "write_scenes", lambda *_, **__: pytest.fail("it is whole"))
    assert prepare_scenes(job(tmp_path, scenes=8)) == [0]


def test_exporting_what_is_not_trained_leaves_the_pack_alone(tmp_path):
    folder = tmp_path / "our pack"
    folder.mkdir()
    (folder / "vae.safetensors").write_bytes(b"as it was")
    with pytest.raises(BrokenWeights, match="--start"):
        export(job(tmp_path))
    assert [path.name for path in folder.iterdir()] == ["vae.safetensors"]
    assert (folder / "vae.safetensors").read_bytes() == b"as it was"


def test_a_pack_of_ones_own_is_offered_by_the_catalogue_it_comes_with(tmp_path):
    export(job(tmp_path, start=PACK))
    folder = tmp_path / "our pack"
    catalogue = open_catalogue(EngineConfig(catalogue_files=(folder / "catalogue.toml",)))
    info, shipped = catalogue.info("our-pack"), catalogue.info("atelier-pack")
    assert (info.width, info.steps, info.sampler) == (shipped.width, shipped.steps, shipped.sampler)
    assert info.draft_model == "our-pack-draft"
    assert catalogue.info("our-pack-draft").variant == "draft"
    assert inspection.problems(info, EngineConfig()) == []
    networks = read_networks(folder)
    make_draft(folder, networks)
    assert networks.tokenizer.pieces("小狗") == ["dog"]
    (folder / "lexicon_zh.tsv").unlink()
    assert "lexicon_zh.tsv" in inspection.problems(info, EngineConfig())[0]


def test_a_new_denoiser_is_not_exported_with_the_drafts_of_another(tmp_path):
    leave_denoiser(tmp_path / "out")
    with pytest.raises(BrokenWeights, match="few-steps"):
        export(job(tmp_path, start=PACK))


def leave_denoiser(out, by: float = 0.0) -> None:
    """What a run leaves of the shipped pack's denoiser, changed by so much."""
    folder = out / "denoiser"
    folder.mkdir(parents=True, exist_ok=True)
    network = Denoiser(DENOISER)
    fill(network, PACK, "denoiser")
    weights = network.state_dict()
    save_file({key: (value + by).contiguous() for key, value in weights.items()}, folder / AVERAGE)


def test_networks_that_were_not_trained_beside_each_other_make_no_pack(tmp_path, monkeypatch):
    """Whoever trains the autoencoder anew has a denoiser of latents that are no more."""
    going_on = job(tmp_path, start=PACK)
    monkeypatch.setattr(programs, "_encode", lambda *_: None)
    monkeypatch.setattr(programs, "shared", lambda job, _: leave_denoiser(job.out))
    monkeypatch.setattr(programs, "_mix", lambda *_: None)
    monkeypatch.setattr(programs, "trained_changes", lambda *_: read_network(PACK, DRAFT)[1])
    programs.train_denoiser(going_on)
    export(going_on)
    vae = read_networks(PACK).vae
    with torch.no_grad():
        next(vae.parameters()).add_(0.01)
    (tmp_path / "out" / "vae").mkdir()
    torch.save(vae.state_dict(), tmp_path / "out" / "vae" / "finished.pt")
    with pytest.raises(BrokenWeights, match=r"denoiser: .* another autoencoder"):
        export(going_on)
    with pytest.raises(BrokenWeights, match="another autoencoder"):
        programs.train_denoiser(replace(going_on, resume=True))
    programs.train_denoiser(going_on)  # anew, beside this one
    export(going_on)


def test_drafts_of_a_denoiser_that_was_since_trained_on_make_no_pack(tmp_path, monkeypatch):
    going_on = job(tmp_path, start=PACK)
    monkeypatch.setattr(programs, "_encode", lambda *_: None)
    monkeypatch.setattr(programs, "LatentStore", lambda *_, **__: None)
    monkeypatch.setattr(programs, "_run", lambda *_: None)
    monkeypatch.setattr(programs, "trained_changes", lambda *_: read_network(PACK, DRAFT)[1])
    programs.train_few_steps(going_on)
    export(going_on)
    leave_denoiser(going_on.out, by=0.01)
    with pytest.raises(BrokenWeights, match=r"few_steps: .* another denoiser"):
        export(going_on)


def test_drafts_go_on_from_those_of_the_pack(tmp_path, monkeypatch):
    begun = {}
    monkeypatch.setattr(programs, "_encode", lambda *_: None)
    monkeypatch.setattr(programs, "LatentStore", lambda *_, **__: None)
    monkeypatch.setattr(programs, "_run", lambda programme, _: begun.update(of=programme))
    leave_denoiser(tmp_path / "out", by=0.01)
    programs.train_few_steps(job(tmp_path, start=PACK))
    _, shipped = read_network(PACK, DRAFT)
    changes = lora_of(begun["of"].network)
    assert all(torch.equal(changes[key], shipped[key].float()) for key in shipped)
    assert begun["of"].learning_rate < LEARNING_RATE


def test_files_are_replaced_once_all_are_whole_and_older_parts_go(tmp_path):
    for name in ("net-1.safetensors", "net-2.safetensors", "network.safetensors"):
        (tmp_path / name).write_bytes(b"old")

    def broken(folder):
        (folder / "net.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(NotSaved, match="No space"):
        replace_weights(tmp_path, broken)
    assert len(list(tmp_path.iterdir())) == 3
    replace_weights(tmp_path, lambda folder: (folder / "net.safetensors").write_bytes(b"new"))
    assert [path.read_bytes() for path in network_files(tmp_path, "net")] == [b"new"]
    assert (tmp_path / "network.safetensors").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2


def test_the_text_encoder_begins_with_the_weights_of_its_seed(tmp_path, captions, monkeypatch):
    teacher = write_teacher(tmp_path / "teacher")
    begun = []

    def note(programme, _settings):
        assert isinstance(programme, DistilText)
        begun.append(programme.network.to_teacher.weight.detach().clone())

    monkeypatch.setattr(programs, "_run", note)
    monkeypatch.setattr(programs, "lesson_texts", lambda *_: ["a cat", "a dog"])
    for seed in (3, 3, 4):
        torch.rand(seed)  # whatever was drawn before does not matter
        programs.train_text(job(tmp_path, scenes=4, seed=seed, teacher=teacher))
    assert torch.equal(begun[0], begun[1])
    assert not torch.equal(begun[0], begun[2])


def test_the_page_of_a_pack_is_json_safe_in_its_path(tmp_path):
    where = tmp_path / 'a "quoted" pack'
    where.mkdir()
    programs._write_entries(where, where)
    text = (where / "catalogue.toml").read_text()
    assert json.dumps(str(where)) in text
