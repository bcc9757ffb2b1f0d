"""The `atelier` command in processes of its own, on an engine that needs no weights."""

import io
import json
import os
import pty
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from PIL import Image

from tests import postgres_server
from tests.conftest import skip_aloud

pytestmark = pytest.mark.timeout(180)  # a machine may have much else to do

SEVERAL_STEPS_S = 12.0  # a machine may have much else to do; all steps take 60 s

# The real command line and application over the shipped fake engine.
PROGRAM = """
import sys
from contextlib import asynccontextmanager
from bot import app
from engine.testing import FakeEngine

@asynccontextmanager
async def open_fake(config):
    yield FakeEngine()

app.open_engine = open_fake
from bot.__main__ import main
sys.argv = ["atelier", *sys.argv[1:]]
main()
"""


PROGRAM_ALONE = "from bot.__main__ import main\nmain()"


@pytest.fixture
def env(tmp_path):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ATELIER_", "DISCORD_"))}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return kept | {
        "ATELIER_DATA_DIR": str(tmp_path / "data"),
        "ATELIER_WEB__PORT": str(port),
        "PYTHONPATH": str(Path.cwd()),
        "COLUMNS": "200",
    }


@pytest.fixture
def atelier(env, tmp_path):
    def run(*args, **changes):
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, *args],
            env=env | changes,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )

    return run


def test_imagine_writes_the_picture_where_it_is_told(atelier, tmp_path):
    done = atelier("imagine", "a fox --images 1 --seed 3", "--out", "fox.png")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "fox.png"
    with Image.open(tmp_path / "fox.png") as image:
        assert image.format == "PNG"
        assert "Seed: 3" in image.text["parameters"]


def test_several_pictures_are_numbered_and_the_gallery_lists_them(atelier, tmp_path):
    done = atelier("imagine", "two foxes --images 2 --seed 8")
    assert done.stdout.split() == ["two-foxes-1.png", "two-foxes-2.png"]
    listed = atelier("gallery", "foxes", "--save", "copies")
    assert listed.returncode == 0, listed.stderr
    assert re.search(r"\b9\b.*two foxes", listed.stdout)
    assert len(list((tmp_path / "copies").glob("*.png"))) == 2


def test_pictures_come_and_go_through_pipes_and_listings_have_a_line_for_each(
    env, atelier, tmp_path
):
    def piped(*args, given=None):
        command = [sys.executable, "-c", PROGRAM, *args]
        done = subprocess.run(
            command, env=env, cwd=tmp_path, input=given, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    drawn = piped("imagine", "a fox, glossy and red, in deep snow --images 1", "--out", "-")
    restyled = piped("stylize", "-", "--style", "udnie", "--out", "-", given=drawn)
    with Image.open(io.BytesIO(restyled)) as image:
        assert image.format == "PNG"
    listed = atelier("gallery", "op:imagine", COLUMNS="80").stdout
    assert re.search(r"\w{10}.*a fox, glossy and red, in deep snow --images 1", listed)


# Stands in for the Python that trains: it takes a while to save when it is interrupted.
TRAINING = f"""#!{sys.executable}
import signal, sys, time
from pathlib import Path

def save(*_):
    time.sleep(1.5)
    Path("saved").write_text(" ".join(sys.argv[1:]))
    sys.exit(130)

signal.signal(signal.SIGINT, save)
Path("begun").touch()
time.sleep(60)
"""


def test_ctrl_c_lets_a_training_save_before_it_ends(env, tmp_path):
    trainer = tmp_path / "trainer"
    trainer.write_text(TRAINING)
    trainer.chmod(0o755)
    program = PROGRAM.replace("main()", f"sys.executable = {str(trainer)!r}\nmain()")
    program = f"import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n{program}"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "train", "gan", "--out", "run"],
        env=env,
        cwd=tmp_path,
        start_new_session=True,
    )
    try:
        while not (tmp_path / "begun").exists():
            assert process.poll() is None
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 130
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert (tmp_path / "saved").read_text() == "-m engine.training gan --out run"


def test_ctrl_c_keeps_the_last_preview(env, tmp_path):
    slow = PROGRAM.replace("FakeEngine()", "FakeEngine(step_delay_s=0.4)")
    # Whoever starts tests in the background of a shell makes them deaf to Ctrl-C.
    slow = f"import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n{slow}"
    process = subprocess.Popen(
        [sys.executable, "-c", slow, "imagine", "a fox --steps 150 --images 1"],
        env=env,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        time.sleep(SEVERAL_STEPS_S)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, out
    assert "Unfinished, as last seen: a-fox-unfinished.webp" in out
    assert "Traceback" not in out
    with Image.open(tmp_path / "a-fox-unfinished.webp") as image:
        assert image.format == "WEBP"


def test_ctrl_c_while_the_program_is_being_loaded_is_no_traceback(env, tmp_path):
    deaf_no_more = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-c", deaf_no_more + PROGRAM_ALONE, "gallery"],
        env=env,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stderr:  # the modules, as they come
            if "pydantic" in line:
                process.send_signal(signal.SIGINT)
                break
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in told


def test_an_operator_gives_out_what_is_kept_and_deletes_it(atelier, tmp_path):
    atelier("imagine", "a fox --images 1 --seed 3", "--out", "fox.png")
    done = atelier("privacy", "export", "0", "--out", "all.zip")
    assert (done.returncode, done.stdout.strip()) == (0, "all.zip"), done.stderr
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert len(archive.namelist()) == 2
        [job] = json.loads(archive.read("atelier.json"))["jobs"]
    assert job["prompt"] == "a fox --images 1 --seed 3"
    refused = atelier("privacy", "delete", "0")
    assert (refused.returncode, "--yes deletes it" in refused.stderr) == (1, True), refused.stderr
    assert "0 jobs, 0 pictures, 0 files" in atelier("privacy", "delete", "7", "--yes").stdout
    done = atelier("privacy", "delete", "0", "--yes")
    assert "Erased: 1 jobs, 1 pictures, 1 files." in done.stdout, done.stderr
    assert list((tmp_path / "data" / "images").rglob("*.png*")) == []


def test_a_mistake_in_the_prompt_ends_with_a_line_and_code_1(atelier):
    done = atelier("imagine", "a fox --choas 30")
    assert done.returncode == 1
    assert "--chaos" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_prompt_draws_from_a_list_in_the_data_folder(atelier, tmp_path):
    lists = tmp_path / "data" / "wildcards"
    lists.mkdir(parents=True)
    (lists / "animals.txt").write_text("# one a line\naardvark\n")
    done = atelier("imagine", "a __animals__ --images 1 --size 64x64", "--out", "one.png")
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"a aardvark" in (tmp_path / "one.png").read_bytes()


def test_a_picture_that_is_not_there_is_named_on_one_line(atelier):
    path = f"{'folder/' * 20}nothing.png"
    done = atelier("imagine", "a fox", "--source", path, COLUMNS="80")
    assert done.returncode == 1
    assert path in done.stderr


def test_many_jobs_want_a_yes(atelier):
    done = atelier("imagine", "a {red, green, blue, white, black} fox --images 1")
    assert done.returncode == 1
    assert "this prompt makes 5 jobs; --yes starts them all" in done.stderr


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("\n", 1), (None, 130)])
def test_many_jobs_are_asked_about_on_a_terminal(env, tmp_path, answer, code):
    # Whoever starts tests in the background of a shell makes them deaf to Ctrl-C.
    program = f"import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n{PROGRAM}"
    prompt = "a {red, green, blue, white, black} fox --images 1 --size 64x64 --steps 1"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program, "imagine", prompt],
        env=env,
        cwd=tmp_path,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        shown = b""
        while b"(y/N)" not in shown:
            shown += os.read(ours, 1024)
        if answer is None:
            process.send_signal(signal.SIGINT)
        else:
            os.write(ours, answer.encode())
        with suppress(OSError):  # what a terminal says once nobody writes to it any more
            while told := os.read(ours, 1024):
                shown += told
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(ours)
    assert b"This prompt makes 5 jobs." in shown
    assert process.returncode == code, shown
    assert len(out.split()) == (5 if code == 0 else 0)


def test_a_broken_setting_ends_with_its_name_and_code_2(atelier):
    done = atelier("run", ATELIER_WEB__PORT="eighty")
    assert done.returncode == 2
    assert "ATELIER_WEB__PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_open_address_without_a_token_is_refused(atelier):
    done = atelier("run", ATELIER_WEB__HOST="0.0.0.0")
    assert done.returncode == 2
    assert "ATELIER_WEB__TOKEN" in done.stderr


def test_a_database_that_does_not_answer_is_no_traceback(atelier):
    done = atelier("migrate", ATELIER_DATABASE_URL="postgresql://nobody:x@127.0.0.1:1/none")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_an_address_as_hosting_services_hand_it_out_is_no_traceback(atelier):
    address = "postgresql://nobody:secret@127.0.0.1:1/none?sslmode=require&channel_binding=require"
    done = atelier("migrate", ATELIER_DATABASE_URL=address)
    assert done.returncode == 1
    assert "the database does not answer now" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["run", "gallery", "migrate"])
def test_a_file_that_is_no_database_is_named_and_not_to_be_tried_again(atelier, tmp_path, command):
    (tmp_path / "notes.txt").write_text("a fox " * 999)
    done = atelier(command, ATELIER_DATABASE_URL="sqlite:///notes.txt")
    assert done.returncode == 2
    assert "ATELIER_DATABASE_URL: notes.txt can't be used: file is not a database" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_without_a_sign_shows_another_in_its_place(atelier):
    drawn = atelier("imagine", "小狗 --images 1 --size 64x64 --steps 1", "--out", "dog.png")
    assert drawn.returncode == 0, drawn.stderr
    listed = atelier("gallery", PYTHONIOENCODING="latin-1")
    assert listed.returncode == 0, listed.stderr
    assert "??" in listed.stdout


def test_doctor_finds_a_new_installation_well(atelier, tmp_path):
    (tmp_path / ".env").write_text("ATELIER_LOG_LEVL=DEBUG\n")
    done = atelier("doctor")
    assert done.returncode == 0, done.stdout
    assert re.search(r"note  database: .* is brought up to date at the next start", done.stdout)
    assert "ATELIER_LOG_LEVL: there is no such setting; did you mean ATELIER_LOG_" in done.stdout


def test_doctor_gives_no_useless_advice_about_a_newer_database(atelier, sqlite_url):
    path = sqlite_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    done = atelier("doctor", ATELIER_DATABASE_URL=sqlite_url)
    assert done.returncode == 1
    assert re.search(r"bad  database: .*is of a newer version .*install that one", done.stdout)
    assert "atelier migrate" not in done.stdout


def test_doctor_says_what_is_wrong_and_how_to_mend_it(atelier, tmp_path):
    (tmp_path / "models.toml").write_text(
        "[models.lost]\nfamily = 'sd1'\nwhere = '/nowhere/lost.safetensors'\n"
        "[loras.ink]\nfamilies = ['sd1']\nwhere = '/nowhere/ink.safetensors'\n"
    )
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "drinks.txt").write_bytes("café".encode("latin-1"))
    done = atelier(
        "doctor",
        ATELIER_WILDCARDS_DIR="lists",
        ATELIER_ENGINE__CATALOGUE_FILES='["models.toml"]',
        ATELIER_ENGINE__DEVICES='["cuda:97"]',
        ATELIER_ENGINE__VGG19_FILE="/nowhere/vgg19.pth",
        ATELIER_DATA_DIR="models.toml/data",
        ATELIER_WEB__HOST="0.0.0.0",
        ATELIER_WEB_PORT="80",
        DISCORD_TOKEN="nonsense",
        **{"ATELIER_[/X]": "1"},
    )
    assert done.returncode == 1
    assert "models.toml/data: Not a directory" in done.stdout
    assert re.search(r"bad  wildcards: lists/drinks.txt can't be read", done.stdout)
    assert "/nowhere/lost.safetensors" in done.stdout
    assert "/nowhere/ink.safetensors" in done.stdout
    assert "/nowhere/vgg19.pth" in done.stdout
    assert "this machine has no cuda:97" in done.stdout
    assert "ATELIER_WEB__TOKEN: must be set" in done.stdout
    assert "did you mean ATELIER_WEB__PORT?" in done.stdout
    assert "ATELIER_[/X]: is no setting" in done.stdout, "not read as markup"
    assert "DISCORD_TOKEN does not look like" in done.stdout
    assert "->" in done.stdout


@contextmanager
def service(env, tmp_path):
    """`atelier run`, ended at the end whatever became of it."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "run"],
        env=env | {"PYTHONUNBUFFERED": "1"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def health(process, env, wanted):
    """What /healthz tells, once its status is `wanted`."""
    address = f"http://127.0.0.1:{env['ATELIER_WEB__PORT']}/healthz"
    deadline = time.monotonic() + 80  # a machine may have much else to do
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, body = error.code, error.read()
        except OSError:
            status, body = 0, b""
        if status == wanted:
            return json.loads(body)
        assert time.monotonic() < deadline, f"/healthz did not come to {wanted}"
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)


def stopped(process):
    """What it has said, once it has ended by SIGTERM."""
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    assert "Traceback" not in out
    return out


def test_the_service_says_where_it_is_and_stops_when_told(env, tmp_path):
    with service(env, tmp_path) as process:
        health(process, env, 200)
        out = stopped(process)
    assert f"The studio is at http://127.0.0.1:{env['ATELIER_WEB__PORT']}" in out
    assert "Discord is off" in out


def test_a_service_that_logs_json_says_nothing_else(env, tmp_path):
    with service(env | {"ATELIER_LOG_FORMAT": "json"}, tmp_path) as process:
        health(process, env, 200)
        lines = [json.loads(line) for line in stopped(process).splitlines()]
    told = [line["message"] for line in lines]
    assert f"The studio is at http://127.0.0.1:{env['ATELIER_WEB__PORT']}" in told
    assert told[-1].startswith("Atelier has stopped")


def test_a_service_that_logs_json_says_why_it_ends_in_json(atelier, env):
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(env["ATELIER_WEB__PORT"])))
        other.listen()
        done = atelier("run", ATELIER_LOG_FORMAT="json")
    assert done.returncode == 2
    *_, last = [json.loads(line) for line in (done.stdout + done.stderr).splitlines()]
    assert last["level"] == "ERROR"
    assert last["message"].startswith("Configuration: ATELIER_WEB__PORT: 127.0.0.1:")


@pytest.mark.postgres
def test_a_service_that_is_up_before_its_database_waits_for_it(env, tmp_path):
    folder = Path(tempfile.mkdtemp(prefix="atelier-late-"))  # PostgreSQL's own user gets in
    server = postgres_server.Server(folder, postgres_server.free_port())
    env["ATELIER_DATABASE_URL"] = f"{server.address}/postgres"
    try:
        try:
            server.start()  # makes its files, which takes long
        except postgres_server.NoPostgres as missing:
            skip_aloud(f"PostgreSQL is missing: {missing}")
        server.crash()
        with service(env, tmp_path) as process:
            assert health(process, env, 503)["problems"] == ["the database does not answer"]
            time.sleep(3.0)
            server.start()
            health(process, env, 200)
            out = stopped(process)
    finally:
        with suppress(postgres_server.NoPostgres):
            server.crash()
        shutil.rmtree(folder)
    assert "waiting for the database at postgresql" in out
    assert "ATELIER_DATABASE_URL" in out


def test_a_service_that_waits_for_its_database_stops_when_told(env, tmp_path):
    env["ATELIER_DATABASE_URL"] = "postgresql://nobody:secret@127.0.0.1:1/none"
    with service(env, tmp_path) as process:
        health(process, env, 503)
        out = stopped(process)
    assert "secret" not in out


@pytest.mark.postgres
def test_a_database_that_is_not_there_is_not_waited_for(atelier, postgres_address):
    done = atelier("run", ATELIER_DATABASE_URL=f"{postgres_address}/forgotten")
    assert done.returncode == 2
    assert "ATELIER_DATABASE_URL: names a database that is not there" in done.stderr
    assert 'database "forgotten" does not exist' in done.stderr
    assert "Traceback" not in done.stderr


def test_stylize_writes_the_restyled_picture(atelier, tmp_path):
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "photo.jpg")
    Image.new("RGB", (30, 30), "navy").save(tmp_path / "wave.jpg")
    done = atelier(
        *("stylize", "photo.jpg", "--style", "wave.jpg", "--style2", "starry night:0.4"),
        *("--strength", "0.8", "--seed", "3", "--out", "out.png"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "out.png"
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (40, 30)
        assert 'Styles: "picture:1, starry-night:0.4"' in image.text["parameters"]


def test_a_saved_style_is_listed_beside_the_paintings(atelier, tmp_path):
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "photo.jpg")
    assert atelier("style", "save", "My Wave", "photo.jpg").returncode == 0
    listed = atelier("style", "list").stdout
    assert re.search(r"my-wave\s+saved", listed)
    shown = atelier("style", "show", "my wave", "--out", "seen.png")
    assert shown.stdout.strip() == "seen.png", shown.stderr
    with Image.open(tmp_path / "seen.png") as image:
        assert image.size == (40, 30)
    assert "Vincent van Gogh" in listed


def test_a_learned_style_is_replaced_only_if_told_to(atelier, tmp_path):
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "old.jpg")
    Image.new("RGB", (40, 30), "navy").save(tmp_path / "new.jpg")
    assert atelier("style", "train", "wave", "old.jpg").returncode == 0
    refused = atelier("style", "save", "wave", "new.jpg")
    assert refused.returncode == 1
    assert "was learned from another picture" in refused.stderr
    saved = atelier("style", "save", "wave", "new.jpg", "--replace")
    assert saved.returncode == 0, saved.stderr
    assert "what was learned from the old one is gone" in saved.stderr
    again = atelier("style", "train", "wave", "--out", "learned.png")
    assert again.stdout.strip() == "learned.png", again.stderr


def test_a_learned_style_is_renamed_and_deleted_only_if_that_is_meant(atelier, tmp_path):
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "wave.jpg")
    assert atelier("style", "train", "wave", "wave.jpg").returncode == 0
    assert atelier("style", "rename", "wave", "High Tide").returncode == 0
    refused = atelier("style", "delete", "high tide")
    assert refused.returncode == 1
    assert "can't be brought back; --yes forgets it" in refused.stderr
    assert re.search(r"high-tide\s+saved, learned", atelier("style", "list").stdout)
    assert atelier("style", "delete", "high tide", "--yes").returncode == 0
    assert "high-tide" not in atelier("style", "list").stdout


def test_a_blend_is_five_pictures(atelier, tmp_path):
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "photo.jpg")
    done = atelier(
        *("stylize", "photo.jpg", "--style", "udnie", "--style2", "great-wave"),
        *("--blend", "0.3", "--out", "blend.png"),
    )
    assert done.stdout.split() == [f"blend-{i}.png" for i in range(1, 6)], done.stderr
