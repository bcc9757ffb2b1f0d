import errno
import os
import re
from pathlib import Path

import pytest

from bot.errors import BadConfiguration
from bot.settings import (
    given_variables,
    misspelt,
    no_such_setting,
    read_settings,
    setting_names,
    shown_database_url,
)
from bot.storage.database import database_url


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """Neither this machine's variables nor its files count."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("ATELIER_") or name == "DISCORD_TOKEN":
            monkeypatch.delenv(name)
    return tmp_path


def test_without_any_setting_the_studio_is_on_loopback_with_sqlite():
    settings = read_settings()
    assert (settings.web.host, settings.web.port) == ("127.0.0.1", 8080)
    assert settings.resolved_database_url.startswith("sqlite+aiosqlite:///")
    assert settings.resolved_database_url.endswith("data/atelier.db")


def test_variables_win_over_env_file_and_that_over_toml(nowhere, monkeypatch):
    (nowhere / "atelier.toml").write_text("[web]\nport = 1001\nhost = '127.0.0.2'\n")
    assert read_settings().web.port == 1001
    (nowhere / ".env").write_text("ATELIER_WEB__PORT=1002\n")
    assert read_settings().web.port == 1002
    monkeypatch.setenv("ATELIER_WEB__PORT", "1003")
    assert read_settings().web.port == 1003
    assert read_settings().web.host == "127.0.0.2"


def test_an_empty_variable_counts_as_not_set(nowhere, monkeypatch):
    (nowhere / "atelier.toml").write_text("[web]\npublic_url = 'https://art.example'\n")
    (nowhere / ".env").write_text("ATELIER_DATA_DIR=\nATELIER_DISCORD__TEST_GUILD_ID=\n")
    for name in ("DISCORD_TOKEN", "ATELIER_WEB__PUBLIC_URL", "ATELIER_ENGINE__VGG19_FILE"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("ATELIER_DISCORD_TOKEN", "a.b.c")
    settings = read_settings()
    assert settings.discord_token.get_secret_value() == "a.b.c"
    assert settings.web.public_url == "https://art.example"
    assert (settings.data_dir, settings.engine.vgg19_file) == (Path("data"), None)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("postgresql://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("sqlite:///a.db", "sqlite+aiosqlite:///a.db"),
    ],
)
def test_addresses_of_databases_get_their_async_driver(monkeypatch, given, used):
    monkeypatch.setenv("ATELIER_DATABASE_URL", given)
    assert read_settings().resolved_database_url == used


@pytest.mark.parametrize("name", ["My%20Studio", "whose?", "100 % ünser #1@home"])
def test_the_database_is_in_the_data_folder_whatever_its_name(monkeypatch, nowhere, name):
    monkeypatch.setenv("ATELIER_DATA_DIR", str(nowhere / name))
    url = database_url(read_settings().resolved_database_url)
    assert url.database == str(nowhere / name / "atelier.db")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ("[1234567890123456789, 2]", '["gore", "two words"]'),
        ("1234567890123456789,2", "gore, two words"),
    ],
)
def test_lists_are_written_as_json_or_with_commas(monkeypatch, members, words):
    monkeypatch.setenv("ATELIER_MODERATION__BLOCKED_MEMBERS", members)
    monkeypatch.setenv("ATELIER_MODERATION__FORBIDDEN_WORDS", words)
    moderation = read_settings().moderation
    assert moderation.blocked_members == (1234567890123456789, 2)
    assert moderation.forbidden_words == ("gore", "two words")


def test_one_value_is_a_list_too(nowhere, monkeypatch):
    monkeypatch.setenv("ATELIER_ENGINE__CATALOGUE_FILES", "models.toml")
    (nowhere / "atelier.toml").write_text("[engine]\ndevices = 'cpu'\n")
    engine = read_settings().engine
    assert (engine.catalogue_files, engine.devices) == ((Path("models.toml"),), ("cpu",))


@pytest.mark.parametrize("url", ["", "https://art.example", "HTTP://[::1]:8080/studio/"])
def test_the_public_address_may_be_any_of_the_web_or_none(monkeypatch, url):
    monkeypatch.setenv("ATELIER_WEB__PUBLIC_URL", url)
    assert read_settings().web.public_url == url


def test_the_databases_password_is_not_shown(monkeypatch):
    monkeypatch.setenv("ATELIER_DATABASE_URL", "postgresql://ada:secret@host:5432/name")
    assert shown_database_url(read_settings()) == "postgresql+asyncpg://ada@host:5432/name"
    monkeypatch.setenv("ATELIER_DATABASE_URL", "postgresql://ada@host/name?password=secret")
    assert "secret" not in shown_database_url(read_settings())


def test_the_token_does_not_leak_into_a_printed_setting(monkeypatch):
    monkeypatch.setenv("DISCORD_TOKEN", "very-secret")
    settings = read_settings()
    assert settings.discord_token.get_secret_value() == "very-secret"
    assert "very-secret" not in repr(settings)


def test_spaces_around_the_token_of_the_web_studio_shut_nobody_out(monkeypatch):
    monkeypatch.setenv("ATELIER_WEB__TOKEN", " sesame-sesame\r\n")
    assert read_settings().web.token.get_secret_value() == "sesame-sesame"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ATELIER_WEB__PORT", "eighty", "ATELIER_WEB__PORT"),
        ("ATELIER_WEB__PORT", "99999", "ATELIER_WEB__PORT"),
        ("ATELIER_DATABASE_URL", "mysql://x", "ATELIER_DATABASE_URL"),
        ("ATELIER_ENGINE__SILENCE_TIMEOUT_S", "0", "ATELIER_ENGINE__SILENCE_TIMEOUT_S"),
        ("ATELIER_ENGINE__DEVICES", "[broken", "ATELIER_ENGINE__DEVICES: is no list; write a, b"),
        ("ATELIER_ENGINE__DEVICES", "[]", "ATELIER_ENGINE__DEVICES: "),
        ("ATELIER_MODERATION__BLOCKED_MEMBERS", "1,ada", "ATELIER_MODERATION__BLOCKED_MEMBERS: "),
        ("ATELIER_WEB__PUBLIC_URL", "art.example:80", "URL: must begin with http:// or https://"),
        ("ATELIER_WEB__PUBLIC_URL", "art.example", "write https://art.example"),
        ("ATELIER_WEB__PUBLIC_URL", "https://", "name a host"),
        ("ATELIER_LOG_LEVEL", "LOUD", "ATELIER_LOG_LEVEL"),
        ("ATELIER_MODERATION__FORBIDDEN_WORDS", '["gore", "!"]', "FORBIDDEN_WORDS: '!' is no word"),
    ],
)
def test_a_value_that_cannot_work_is_named_as_the_operator_wrote_it(monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    with pytest.raises(BadConfiguration) as refused:
        read_settings()
    assert said in str(refused.value)


def test_a_broken_toml_file_is_named(nowhere):
    (nowhere / "atelier.toml").write_text("port = = 3")
    with pytest.raises(BadConfiguration, match=r"atelier\.toml"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "line"), [("atelier.toml", "log_level = 'DEBUG'"), (".env", "ATELIER_LOG_LEVEL=DEBUG")]
)
def test_a_file_may_begin_with_the_mark_that_editors_on_windows_write(nowhere, name, line):
    (nowhere / name).write_text(line, encoding="utf-8-sig")
    assert read_settings().log_level == "DEBUG"


@pytest.mark.parametrize("name", ["atelier.toml", ".env"])
def test_a_file_that_cannot_be_read_is_refused_with_the_reason(nowhere, monkeypatch, name):
    (nowhere / name).write_text("")
    monkeypatch.setattr("builtins.open", refusing)
    monkeypatch.setattr("io.open", refusing)  # as `Path.open` does
    with pytest.raises(BadConfiguration, match=rf"{re.escape(name)}: can't be read: Permission"):
        read_settings()


def refusing(file, *_args, **_kwargs):
    """Root may read everything, so that no mode of a file would do."""
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))


def test_a_misspelt_name_inside_a_section_is_refused(nowhere):
    (nowhere / "atelier.toml").write_text("[web]\nprot = 80\n")
    with pytest.raises(BadConfiguration, match="ATELIER_WEB__PROT"):
        read_settings()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[moderations]", "moderations in atelier.toml: there .* did you mean moderation?"),
        ("log_levl = 'DEBUG'", "log_levl in atelier.toml: there .* did you mean log_level?"),
        ("port = 80", "port in atelier.toml: is no setting"),
    ],
)
def test_a_misspelt_section_or_key_of_the_toml_file_is_refused(nowhere, line, said):
    (nowhere / "atelier.toml").write_text(line)
    with pytest.raises(BadConfiguration, match=said):
        read_settings()


def test_of_the_env_file_a_misspelt_name_is_found_and_those_of_others_are_left(nowhere):
    (nowhere / ".env").write_text(
        "ATELIER_LOG_LEVL=DEBUG\nDISCORD_TOKEN=a.b.c\nPOSTGRES_PASSWORD=x\natelier_log_format=json\n"
    )
    settings = read_settings()
    assert settings.discord_token.get_secret_value() == "a.b.c"
    assert (settings.log_level, settings.log_format) == ("INFO", "json")
    assert misspelt(given_variables()) == ("ATELIER_LOG_LEVL",)


def test_a_whole_section_may_be_one_variable(monkeypatch):
    monkeypatch.setenv("ATELIER_WEB", '{"port": 80}')
    assert read_settings().web.port == 80
    assert misspelt(["ATELIER_WEB"]) == ()


def test_a_variable_that_is_not_read_is_found_with_the_one_that_is_meant(monkeypatch):
    names = ["PATH", "ATELIER_WEB_PORT", "ATELIER_WEB__PORT", "atelier_data_dir", "ATELIER_FOO"]
    assert misspelt(names) == ("ATELIER_FOO", "ATELIER_WEB_PORT")
    assert "ATELIER_WEB__PORT" in no_such_setting("ATELIER_WEB_PORT")
    monkeypatch.setenv("ATELIER_WEB__PROT", "80")
    with pytest.raises(BadConfiguration, match=r"no such setting; did you mean ATELIER_WEB__PORT"):
        read_settings()


def test_every_setting_can_be_set_by_its_name(monkeypatch):
    assert len(setting_names()) > 25
    monkeypatch.setenv("ATELIER_LIMITS__WAITING", "7")
    assert "ATELIER_LIMITS__WAITING" in setting_names()
    assert read_settings().limits.waiting == 7


def test_the_engine_gets_megabytes_as_bytes_and_models_beside_the_data(monkeypatch, nowhere):
    monkeypatch.setenv("ATELIER_DATA_DIR", str(nowhere / "store"))
    monkeypatch.setenv("ATELIER_ENGINE__MEMORY_BUDGET_MB", "3")
    config = read_settings().engine_config()
    assert config.memory_budget_bytes == 3 * 2**20
    assert config.models_dir == nowhere / "store" / "models"


def test_timeouts_of_the_worker_reach_the_engine(monkeypatch):
    monkeypatch.setenv("ATELIER_ENGINE__SILENCE_TIMEOUT_S", "30")
    monkeypatch.setenv("ATELIER_ENGINE__STUCK_TIMEOUT_S", "90")
    config = read_settings().engine_config()
    assert (config.silence_timeout_s, config.stuck_timeout_s) == (30, 90)


def test_wildcards_are_beside_the_data_unless_told_otherwise(monkeypatch, nowhere):
    monkeypatch.setenv("ATELIER_DATA_DIR", str(nowhere / "store"))
    assert read_settings().resolved_wildcards_dir == nowhere / "store" / "wildcards"
    monkeypatch.setenv("ATELIER_WILDCARDS_DIR", str(nowhere / "lists"))
    assert read_settings().resolved_wildcards_dir == nowhere / "lists"
