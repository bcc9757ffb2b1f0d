"""Catalogue files in, models out; what is wrong is said with file, entry and reason."""

import subprocess
import sys

import pytest

from engine.config import EngineConfig
from engine.errors import BadCatalogue, UnknownModel
from engine.models.catalogue import Ability, Family, ModelInfo, Source, open_catalogue
from engine.requests import Sampler, Schedule


@pytest.fixture
def opened(tmp_path):
    """Open the shipped catalogue with one more file of that content."""

    def opening(content):
        file = tmp_path / "mine.toml"
        file.write_text(content, encoding="utf-8")
        models = tmp_path / "models"
        return open_catalogue(EngineConfig(catalogue_files=(file,), models_dir=models))

    return opening


def test_a_fresh_installation_offers_the_pack():
    catalogue = open_catalogue(EngineConfig())
    assert catalogue.names() == ("atelier-pack", "atelier-dreams", "atelier-pack-draft")
    pack = catalogue.default
    assert (pack.family, pack.source) == (Family.PACK, Source.BUILTIN)
    assert (pack.width, pack.height) == (256, 256)
    assert Ability.UPSCALE in pack.abilities
    assert pack.description
    assert pack.description_zh


def test_family_and_place_are_enough_for_an_entry(opened):
    catalogue = opened('models.dream = { family = "sdxl", where = "someone/dream" }')
    dream = catalogue.info("dream")
    assert (dream.title, dream.source, dream.where) == ("dream", Source.HUB, "someone/dream")
    assert (dream.width, dream.height) == (1024, 1024)
    assert (dream.sampler, dream.schedule) == (Sampler.DPMPP_2M, Schedule.KARRAS)
    assert catalogue.default.name == "atelier-pack"


def test_an_entry_says_what_differs_from_its_family(opened):
    catalogue = opened(
        """
        default = "fast"
        [models.fast]
        family = "sd1"
        where = "someone/fast"
        sampler = "lcm"
        schedule = "model"
        steps = 6
        guidance_scale = 1.0
        abilities = ["text_to_image"]
        """
    )
    fast = catalogue.default
    assert (fast.sampler, fast.steps, fast.guidance_scale) == (Sampler.LCM, 6, 1.0)
    assert fast.abilities == {Ability.TEXT_TO_IMAGE}


def test_files_are_found_beside_the_catalogue_and_in_the_models_folder(opened, tmp_path):
    (tmp_path / "models" / "folder").mkdir(parents=True)
    (tmp_path / "models" / "ink.safetensors").touch()
    (tmp_path / "beside.safetensors").touch()
    catalogue = opened(
        """
        models.one = { family = "sd1", where = "beside.safetensors", tokenizer = "folder" }
        models.two.family = "sd1"
        models.two.where = "folder"
        models.two.ip_adapter = "ink.safetensors"
        models.two.image_encoder = "folder"
        models.three = { family = "sd1", where = "missing.safetensors" }
        loras.ink = { where = "ink.safetensors", families = ["sd1"] }
        """
    )
    one, two, three = (catalogue.info(name) for name in ("one", "two", "three"))
    assert (one.source, one.where) == (Source.FILE, str(tmp_path / "beside.safetensors"))
    assert one.tokenizer == str(tmp_path / "models" / "folder")
    assert two.ip_adapter == str(tmp_path / "models" / "ink.safetensors")
    assert two.image_encoder == str(tmp_path / "models" / "folder")
    assert (two.source, two.where) == (Source.FOLDER, str(tmp_path / "models" / "folder"))
    assert (three.source, three.where) == (Source.FILE, str(tmp_path / "missing.safetensors"))
    assert catalogue.lora("Ink").where == str(tmp_path / "models" / "ink.safetensors")
    assert catalogue.lora_names(Family.SDXL) == ()
    assert catalogue.lora_names() == catalogue.lora_names(Family.SD1) == ("ink",)


@pytest.mark.parametrize("where", ["owner/name.git", "an--owner/name", "owner/-name"])
def test_what_the_hub_would_not_let_be_a_name_is_a_file(opened, tmp_path, where):
    catalogue = opened(f'models.x = {{ family = "sd1", where = "{where}" }}')
    assert catalogue.info("x").where == str(tmp_path / where)


def test_a_later_entry_replaces_one_of_its_name(opened):
    catalogue = opened('models.atelier-pack = { family = "sd1", where = "someone/other" }')
    assert catalogue.default.family is Family.SD1


WRONG = {
    "no table of a catalogue": ("model.x = 1", "model"),
    "is not TOML": ("default = ", "file"),
    "there is no model nobody": ('default = "nobody"', "default"),
    "atelier-dreams can't draw from words": ('default = "atelier-dreams"', "default"),
    "needs where": ('models.x = { family = "sd1" }', "x"),
    "must be a table with fields": ('models.x = "someone/x"', "x"),
    "family: Input should be": ('models.x = { family = "sd9", where = "a/b" }', "x"),
    "family: Field required": ('models.x = { where = "a/b" }', "x"),
    "speed: Unexpected": ('models.x = { family = "sd1", where = "a/b", speed = 1 }', "x"),
    "steps: Input should be greater": (
        'models.x = { family = "sd1", where = "a/b", steps = 0 }',
        "x",
    ),
    "width: Input should be a multiple of 8": (
        'models.x = { family = "sd1", where = "a/b", width = 500 }',
        "x",
    ),
    "needs ip_adapter and image_encoder": (
        'models.x = { family = "sd1", where = "a/b", ip_adapter = "ip.safetensors" }',
        "x",
    ),
    "families sd1 and sdxl only": (
        'models.x = { family = "sd2", where = "a/b", ip_adapter = "i", image_encoder = "e" }',
        "x",
    ),
    "name: String should match": ('models."Größe" = { family = "sd1", where = "a/b" }', "Größe"),
    "File name too long": (
        f'models.x = {{ family = "sd1", where = "{300 * "a"}" }}',
        "x",
    ),
    "can't be looked for: Could not": (
        'loras.x = { where = "~no-such-user/x.safetensors", families = ["sd1"] }',
        "x",
    ),
    "families: ": ('loras.x = { where = "x.safetensors", families = [] }', "x"),
}


@pytest.mark.parametrize("reason", WRONG)
def test_what_is_wrong_is_said_with_file_entry_and_reason(opened, reason):
    content, entry = WRONG[reason]
    with pytest.raises(BadCatalogue) as refusal:
        opened(content)
    assert refusal.value.entry == entry
    assert reason.removeprefix("no ") in refusal.value.reason
    assert refusal.value.file.endswith("mine.toml")


@pytest.mark.parametrize(
    ("draft", "reason"),
    [("ghost", "there is no model ghost"), ("atelier-dreams", "atelier-dreams can't draw")],
)
def test_a_draft_model_must_be_there_and_draw(opened, draft, reason):
    with pytest.raises(BadCatalogue, match=f"a: draft_model: {reason}"):
        opened(f'models.a = {{ family = "sd1", where = "x/y", draft_model = "{draft}" }}')


def test_a_file_that_is_not_there_is_named(tmp_path):
    config = EngineConfig(catalogue_files=(tmp_path / "nowhere.toml",))
    with pytest.raises(BadCatalogue, match=r"nowhere\.toml: file: No such file"):
        open_catalogue(config)


def test_names_are_found_in_any_case_and_near_misses_are_suggested():
    catalogue = open_catalogue(EngineConfig())
    assert catalogue.info(" Atelier-Pack ").name == "atelier-pack"
    with pytest.raises(UnknownModel, match="did you mean atelier-pack"):
        catalogue.info("ateler-pak")
    with pytest.raises(UnknownModel) as unknown:
        catalogue.info("zzz")
    assert unknown.value.suggestion == ""


def test_completion_puts_what_starts_so_before_what_contains_it(opened):
    catalogue = opened(
        """
        models.sunset = { family = "sd1", where = "a/sunset", title = "Golden hour" }
        models.golden = { family = "sd1", where = "a/golden" }
        models.old-gold = { family = "sd1", where = "a/old" }
        """
    )
    values = [value for _, value in catalogue.autocomplete("gold")]
    assert values == ["sunset", "golden", "old-gold"]
    assert catalogue.autocomplete("gold")[0][0] == "Golden hour (sunset)"
    assert [value for _, value in catalogue.autocomplete("goldne")] == ["golden"]
    assert len(catalogue.autocomplete("")) == 5
    assert len(catalogue.autocomplete("", limit=2)) == 2
    assert catalogue.autocomplete("qqqq") == []


def sized(**fields):
    return ModelInfo(name="x", family=Family.SD1, where="a/b", source=Source.HUB, **fields)


@pytest.mark.parametrize(
    ("ratio", "size"),
    [
        ((1, 1), (512, 512)),
        ((3, 2), (624, 416)),
        ((2, 3), (416, 624)),
        ((16, 9), (680, 384)),
        ((5, 4), (560, 448)),
        ((7, 5), (608, 432)),
    ],
)
def test_the_size_for_a_ratio_keeps_the_area(ratio, size):
    assert sized().size_for(*ratio) == size


@pytest.mark.parametrize(("ratio", "size"), [((3, 2), (288, 192)), ((2, 3), (192, 288))])
def test_the_pack_draws_the_shapes_it_was_trained_in(ratio, size):
    info = open_catalogue(EngineConfig()).info("atelier-pack")
    assert info.size_for(*ratio) == size


def test_the_size_for_an_extreme_ratio_stays_within_the_models_sides():
    info = sized(max_side=1024, size_multiple=64)
    width, height = info.size_for(100, 1)
    assert (width, height) == (1024, 64)
    assert info.size_for(1, 100) == (64, 1024)


def test_reading_catalogues_and_inspecting_files_needs_no_torch():
    code = (
        "import sys, engine.models.inspection as inspection\n"
        "from engine.config import EngineConfig\n"
        "from engine.models.catalogue import open_catalogue\n"
        "config = EngineConfig()\n"
        "inspection.problems(open_catalogue(config).default, config)\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
