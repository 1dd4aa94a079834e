"""Settings: what is read, what is refused, and the master key's file."""

import concurrent.futures
import os
import re
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from commerce.kernel.master_key import MasterKey
from commerce.kernel.network import Networks
from commerce.kernel.wording import must_be
from commerce.settings import Settings, SettingsError, load_master_key

HEX = "0f" * 32


def refusal(environ: dict[str, str], **overrides: object) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.load(environ, **overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def key_refusal(folder: Path, configured: str | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_master_key(folder, configured)
    return str(caught.value)


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.load({"PATH": "/bin", "HOME": "/"})
    assert settings == Settings()
    assert settings.data_dir == Path("data")
    assert (settings.network, settings.port, settings.body_size_max) == ("testnet", 8000, 1048576)


def test_variables_are_read_as_their_types() -> None:
    environ = {
        "COMMERCE_PORT": "0",
        "COMMERCE_DATA_DIR": "/srv/commerce",
        "COMMERCE_NETWORK": "both",
        "COMMERCE_DATABASE_URL": "postgres://db/commerce",
        "COMMERCE_BASE_URL": "https://api.example.com/commerce",
    }
    settings = Settings.load(environ)
    assert settings.port == 0
    assert settings.data_dir == Path("/srv/commerce")
    assert settings.network == "both"
    assert settings.database_url == "postgres://db/commerce"
    assert settings.base_url == "https://api.example.com/commerce"


def test_an_override_wins_and_one_that_is_none_counts_as_not_given() -> None:
    environ = {"COMMERCE_PORT": "9000", "COMMERCE_WORKERS": "3"}
    settings = Settings.load(environ, port=9100, workers=None, data_dir=Path("elsewhere"))
    assert (settings.port, settings.workers) == (9100, 3)
    assert settings.data_dir == Path("elsewhere")


def test_a_home_folder_is_expanded() -> None:
    settings = Settings.load({"COMMERCE_DATA_DIR": "~/commerce"})
    assert settings.data_dir == Path.home() / "commerce"


@pytest.mark.parametrize(
    ("unknown", "nearest"),
    [
        ("COMMERCE_PROT", "COMMERCE_PORT"),
        ("COMMERCE_DATABSE_URL", "COMMERCE_DATABASE_URL"),
        ("COMMERCE_MASTERKEY", "COMMERCE_MASTER_KEY"),
        ("COMMERCE_port", "COMMERCE_PORT"),
    ],
)
def test_an_unknown_variable_is_refused_naming_the_nearest(unknown: str, nearest: str) -> None:
    message = refusal({unknown: "1"})
    assert f"{unknown} is unknown" in message
    assert message.endswith(nearest)


def test_an_unknown_override_is_refused() -> None:
    assert "COMMERCE_PROT" in refusal({}, prot=1)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("COMMERCE_PORT", "65536"),
        ("COMMERCE_PORT", "-1"),
        ("COMMERCE_PORT", "http"),
        ("COMMERCE_PORT", ""),
        ("COMMERCE_WORKERS", "0"),
        ("COMMERCE_ENGINE_LANES", "1.5"),
        ("COMMERCE_NETWORK", "mainnet"),
        ("COMMERCE_LOG_LEVEL", "loud"),
        ("COMMERCE_LOG_FORMAT", "xml"),
        ("COMMERCE_BASE_URL", "api.example.com"),
        ("COMMERCE_BASE_URL", "https://api.example.com/"),
        ("COMMERCE_DATABASE_URL", "mysql://db/commerce"),
        ("COMMERCE_DATA_DIR", ""),
        ("COMMERCE_MASTER_KEY", ""),
        ("COMMERCE_POSTGRES_USER", "--root"),
        ("COMMERCE_TRUSTED_PROXIES", ""),
        ("COMMERCE_TRUSTED_PROXIES", "localhost"),
        ("COMMERCE_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("COMMERCE_TRUSTED_PROXIES", "10.0.0.0/8,"),
        ("COMMERCE_CORS_ORIGINS", ""),
        ("COMMERCE_CORS_ORIGINS", "shop.example.com"),
        ("COMMERCE_CORS_ORIGINS", "https://shop.example.com/"),
        ("COMMERCE_CORS_ORIGINS", "https://*.example.com"),
        ("COMMERCE_CORS_ORIGINS", "*, https://shop.example.com"),
        ("COMMERCE_TLS_CERT", "cert.pem"),
        ("COMMERCE_TLS_KEY", "key.pem"),
    ],
)
def test_a_wrong_value_is_refused_naming_its_variable(variable: str, value: str) -> None:
    assert refusal({variable: value}).startswith(variable)


def test_settings_load_again_as_they_are_for_another_process() -> None:
    environ = {
        "COMMERCE_TRUSTED_PROXIES": "10.0.0.0/8, ::1",
        "COMMERCE_CORS_ORIGINS": "https://shop.example.com, http://localhost:3000",
        "COMMERCE_TLS_CERT": "~/cert.pem",
        "COMMERCE_TLS_KEY": "/srv/key.pem",
    }
    settings = Settings.load(environ)
    assert settings.trusted_proxies == Networks("10.0.0.0/8", "::1")
    assert settings.tls_cert == Path.home() / "cert.pem"
    assert Settings.load(settings.environment()) == settings
    shown = {row.name: row.value for row in settings.describe()}
    assert shown["COMMERCE_TRUSTED_PROXIES"] == "10.0.0.0/8,::1/128"


def test_there_are_words_for_what_every_setting_must_be() -> None:
    for name, hint in get_type_hints(Settings, include_extras=True).items():
        if name in Settings.__struct_fields__:
            words = must_be(hint, null=False)
            assert words
            assert not re.search(r"\^|\$|\\\\|null", words), name


def test_the_text_null_is_not_taken_for_unset() -> None:
    assert Settings.load({"COMMERCE_MASTER_KEY": "null"}).master_key == "null"


def test_a_wrong_option_is_refused_by_its_own_name() -> None:
    assert refusal({}, port=70000) == "--port must be an integer from 0 to 65535"
    assert refusal({}, network="foo") == "--network must be one of: testnet, production, both"


@pytest.mark.parametrize(
    ("variable", "value", "must"),
    [
        ("COMMERCE_PORT", "http", "an integer from 0 to 65535"),
        ("COMMERCE_WORKERS", "0", "an integer of at least 1"),
        ("COMMERCE_LOG_FORMAT", "xml", "one of: json, console"),
        ("COMMERCE_DATABASE_URL", "mysql://db", "a URL, postgresql://…"),
        ("COMMERCE_TRUSTED_PROXIES", "here", "addresses and CIDR networks, with commas between"),
        ("COMMERCE_POSTGRES_USER", "--root", "the name of a system user"),
    ],
)
def test_a_wrong_value_is_told_what_it_must_be(variable: str, value: str, must: str) -> None:
    assert refusal({variable: value}) == f"{variable} must be {must}"


def test_no_secret_is_printed_or_stands_in_an_error() -> None:
    secrets = {"COMMERCE_MASTER_KEY": HEX, "COMMERCE_DATABASE_URL": "postgres://u:hush@db/c"}
    settings = Settings.load(secrets)
    printed = repr(settings) + repr(settings.describe())
    assert "hush" not in printed
    assert HEX not in printed
    assert "hush" not in refusal({"COMMERCE_DATABASE_URL": "hush@db"})


def test_the_description_names_every_setting_with_value_default_and_doc() -> None:
    described = {setting.name: setting for setting in Settings(port=9000).describe()}
    assert list(described) == [f"COMMERCE_{name.upper()}" for name in Settings.__struct_fields__]
    assert (described["COMMERCE_PORT"].value, described["COMMERCE_PORT"].default) == (
        "9000",
        "8000",
    )
    assert described["COMMERCE_PORT"].doc == "The port to listen on; 0 picks a free one."
    assert described["COMMERCE_MASTER_KEY"].value == ""
    assert all(setting.doc for setting in described.values())


def test_the_words_to_a_setting_name_every_value_there_is_to_choose_from() -> None:
    docs = {setting.name: setting.doc for setting in Settings().describe()}
    silent = [
        (name, value)
        for name, hint in get_type_hints(Settings).items()
        for each in (hint, *get_args(hint))
        if get_origin(each) is Literal
        for value in get_args(each)
        if value not in docs[f"COMMERCE_{name.upper()}"]
    ]
    assert silent == []


def test_a_secret_that_is_set_is_described_as_set() -> None:
    described = {setting.name: setting.value for setting in Settings(master_key=HEX).describe()}
    assert described["COMMERCE_MASTER_KEY"] == "(set)"


def test_a_configured_key_wins_and_nothing_is_written(tmp_path: Path) -> None:
    assert load_master_key(tmp_path, HEX).reveal() == HEX
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    first = load_master_key(tmp_path / "new", None)
    path = tmp_path / "new" / "master.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert MasterKey.parse(path.read_text()).reveal() == first.reveal()
    assert load_master_key(tmp_path / "new", None).reveal() == first.reveal()
    assert list(path.parent.iterdir()) == [path]


def _revealed(folder: Path) -> str:
    return load_master_key(folder, None).reveal()


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    for attempt in range(20):
        folders = [tmp_path / str(attempt)] * 8
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(_revealed, folders))) == 1
        assert len(list(folders[0].iterdir())) == 1


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.write_text(HEX)
    path.chmod(0o640)
    message = key_refusal(tmp_path)
    assert "may be read by others (mode 0640)" in message
    assert HEX not in message


@pytest.mark.parametrize("content", ["", "nonsense", HEX[:-2], HEX + "00"])
def test_a_file_that_holds_no_key_is_refused_without_its_content(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "master.key"
    path.touch(mode=0o600)
    path.write_text(content)
    message = key_refusal(tmp_path)
    assert message.startswith(str(path))
    assert not content or content not in message
    assert path.read_text() == content


def test_a_configured_key_that_is_none_is_refused_without_its_content(tmp_path: Path) -> None:
    message = key_refusal(tmp_path, "not-a-key")
    assert message.startswith("COMMERCE_MASTER_KEY")
    assert "not-a-key" not in message


def test_a_link_in_place_of_the_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch(mode=0o600)
    (tmp_path / "master.key").symlink_to(tmp_path / "elsewhere")
    assert "cannot be used" in key_refusal(tmp_path)


def test_a_folder_in_place_of_the_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "master.key").mkdir()
    assert "is not a plain file" in key_refusal(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_key_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.touch(mode=0o600)
    os.chown(path, 65534, 65534)
    assert "belongs to another user" in key_refusal(tmp_path)


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = key_refusal(tmp_path / "file")
    assert "cannot be used" in message
    assert "\n" not in message
