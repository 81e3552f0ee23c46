"""Settings: what a file and the environment may say, and how mistakes are answered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from msgspec import Meta

from cluster.settings import BadSettings, EtcdSettings, Settings, describe, read_settings


class Example(Settings, frozen=True):
    """A small daemon's settings."""

    site_id: Annotated[str, Meta(description="The site.", min_length=1)]
    level: Annotated[Literal["debug", "info"], Meta(description="How much to say.")] = "info"
    patience: Annotated[float, Meta(description="Seconds to wait.", gt=0, le=60)] = 5.0
    loud: Annotated[bool, Meta(description="Whether to shout.")] = False
    place: Annotated[Path | None, Meta(description="Where to go.")] = None
    members: Annotated[tuple[str, ...], Meta(description="Who belongs to it.")] = ()
    etcd: EtcdSettings = EtcdSettings()


def write(tmp_path: Path, text: str) -> Path:
    """Write a settings file."""
    path = tmp_path / "example.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path | None, environ: dict[str, str] | None = None) -> str:
    """Return the text with which the settings are refused."""
    with pytest.raises(BadSettings) as caught:
        read_settings(path, Example, environ or {})
    return str(caught.value)


def test_a_file_is_read_into_a_frozen_value(tmp_path: Path) -> None:
    """A TOML file with a table becomes one nested frozen value, with defaults for what it leaves out."""
    path = write(
        tmp_path, 'site_id = "s"\npatience = 2\nmembers = ["a", "b"]\n[etcd]\nendpoints = ["[::1]:2379", "b:2379"]\n'
    )
    assert read_settings(path, Example, {}) == Example(
        site_id="s", patience=2.0, members=("a", "b"), etcd=EtcdSettings(endpoints=("[::1]:2379", "b:2379"))
    )


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """A variable named after the table and the setting replaces what the file says; lists are comma separated."""
    path = write(tmp_path, 'site_id = "file"\nloud = true\n[etcd]\nendpoints = ["file:1"]\n')
    environ = {
        "TWINKEY_SITE_ID": "variable",
        "TWINKEY_PATIENCE": "7.5",
        "TWINKEY_LOUD": "false",
        "TWINKEY_PLACE": "/there",
        "TWINKEY_ETCD_ENDPOINTS": "a:1, b:2,",
    }
    settings = read_settings(path, Example, environ)
    assert settings == Example(
        site_id="variable",
        patience=7.5,
        loud=False,
        place=Path("/there"),
        etcd=EtcdSettings(endpoints=("a:1", "b:2")),
    )


def test_the_environment_alone_is_enough() -> None:
    """No file is needed when the environment has what is required, and variables of others are ignored."""
    settings = read_settings(None, Example, {"TWINKEY_SITE_ID": "s", "TWINKEY_LISTEN": "x", "HOME": "/"})
    assert settings == Example(site_id="s")


def test_an_empty_text_means_none(tmp_path: Path) -> None:
    """Where a setting may be absent, an empty text says that it is."""
    path = write(tmp_path, 'site_id = "s"\nplace = "/there"\n')
    assert read_settings(path, Example, {"TWINKEY_PLACE": ""}).place is None


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('levl = "info"', "unknown setting levl; did you mean level?"),
        ('endpoints = ["a:1"]', "unknown setting endpoints; did you mean etcd.endpoints?"),
        ('[etcd]\nusr = "x"', "unknown setting etcd.usr; did you mean etcd.user?"),
        ("[zzz]\nqqq = 1", "unknown setting zzz; known are etcd.ca"),
        ('etcd = "a:1"', "etcd is a table: write [etcd]"),
    ],
)
def test_an_unknown_setting_is_refused_with_a_hint(tmp_path: Path, text: str, hint: str) -> None:
    """A setting that nobody reads is a mistake, and the answer proposes what was meant."""
    path = write(tmp_path, text)
    assert f"{path}: {hint}" in refusal(path, {"TWINKEY_SITE_ID": "s"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('level = "loud"', "allowed is one of debug, info"),
        ("patience = 0", "allowed is number above 0 to 60"),
        ('patience = "3"', "allowed is number above 0 to 60"),
        ("loud = 1", "allowed is true or false"),
        ('members = "a"', "allowed is list of text"),
        ("place = 3", "allowed is path"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place_and_what_is_allowed(tmp_path: Path, text: str, says: str) -> None:
    """The answer names the file, the setting, what was found there and what may be."""
    path = write(tmp_path, f'site_id = "s"\n{text}\n')
    answer = refusal(path)
    assert answer.startswith(f"{path}: {text.partition(' ')[0]} = ")
    assert says in answer


def test_a_wrong_variable_is_refused_by_its_name() -> None:
    """A mistake in the environment names the variable, not the file."""
    answer = refusal(None, {"TWINKEY_SITE_ID": "s", "TWINKEY_ETCD_ENDPOINTS": "http://a:1"})
    assert answer.startswith("environment TWINKEY_ETCD_ENDPOINTS: etcd.endpoints = ['http://a:1'] is not allowed")
    assert "such as 10.0.0.1:2379" in answer


def test_what_is_missing_says_how_to_give_it() -> None:
    """A required setting that nobody gave names both of its places."""
    assert refusal(None) == "site_id is missing: set it in the settings file or as TWINKEY_SITE_ID"


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """An operator sees every mistake, not one per start."""
    path = write(tmp_path, 'levl = "x"\npatience = -1\n')
    assert len(refusal(path).splitlines()) == 3


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('cert = "c"\nca = "c"', "cert and key belong together"),
        ('cert = "c"\nkey = "k"', "set ca too"),
        ('user = "u"', "user and password_file belong together"),
        ("endpoints = []", "etcd.endpoints = [] is not allowed"),
    ],
)
def test_half_a_pair_is_refused(tmp_path: Path, table: str, says: str) -> None:
    """Settings of the store that only make sense together are checked together."""
    assert says in refusal(write(tmp_path, f'site_id = "s"\n[etcd]\n{table}\n'))


@pytest.mark.parametrize("content", [b"site_id = ", b"\xff\xfe", b"site_id = 'a'\nsite_id = 'b'"])
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    """Garbage is answered with the file's name."""
    path = tmp_path / "example.toml"
    path.write_bytes(content)
    assert refusal(path).startswith(f"{path}: is not TOML")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A missing file is a mistake even if the environment would be enough."""
    answer = refusal(tmp_path / "none.toml", {"TWINKEY_SITE_ID": "s"})
    assert "none.toml: cannot be read: No such file" in answer


def test_every_setting_can_be_described() -> None:
    """The documentation's table has name, variable, kind, default and description of each setting."""
    rows = {row.name: row for row in describe(Example)}
    assert rows["patience"][1:] == ("TWINKEY_PATIENCE", "number above 0 to 60", "5.0", "Seconds to wait.")
    assert rows["site_id"].default == "required"
    assert rows["members"].default == "none"
    assert rows["etcd.endpoints"][1:4] == (
        "TWINKEY_ETCD_ENDPOINTS",
        "list of text such as 10.0.0.1:2379",
        "127.0.0.1:2379",
    )
    assert all(row.description for row in rows.values())
