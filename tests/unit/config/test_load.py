"""Where settings come from, which source wins, and what they become."""

from __future__ import annotations

import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest

from mairust_core.config import ListenAddress, Origin, Settings, load_settings
from mairust_core.config.effective import effective
from mairust_core.config.places import find_document
from mairust_core.errors import BadConfig
from mairust_core.model.settings import Setting


def write(path: Path, text: str) -> Path:
    """A file with this text, its directories made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_defaults_need_no_file(tmp_path: Path) -> None:
    """A fresh machine gets what the contract promises, everything below the data directory."""
    found = load_settings(data_dir=tmp_path, env={})
    assert [str(s.listen) for s in (found.smtp, found.lmtp, found.http)] == [
        "127.0.0.1:2525",
        "127.0.0.1:2424",
        "127.0.0.1:8025",
    ]
    assert (found.smtp.max_size, found.blobs.in_flight_bytes) == (50 << 20, 128 << 20)
    assert (found.node.workers, found.hooks.budget_ms) == (1, 30_000)
    assert (found.telemetry.trace_days, found.telemetry.audit_days, found.database.trash_days) == (
        14,
        365,
        30,
    )
    assert found.database.url == f"sqlite:///{tmp_path}/mairust.db"
    assert found.database.sqlite_path == tmp_path / "mairust.db"
    assert (found.blobs.path, found.secrets.master_key_file) == (tmp_path / "blobs", tmp_path / "master.key")
    assert found.node.authserv_id == found.node.hostname
    assert found.config_file is None


@pytest.mark.parametrize(("url", "upgrades"), [("postgresql://h/d", False), ("sqlite:///x.db", True)])
def test_auto_upgrade_follows_the_database(tmp_path: Path, url: str, upgrades: bool) -> None:
    """The schema migrates by itself on SQLite only, unless somebody says otherwise."""
    found = load_settings(data_dir=tmp_path, env={"MAIRUST_DATABASE__URL": url})
    assert found.database.auto_upgrade is upgrades
    assert (found.database.sqlite_path is None) is not upgrades
    says = load_settings(data_dir=tmp_path, env={"MAIRUST_DATABASE__AUTO_UPGRADE": str(not upgrades)})
    assert says.database.auto_upgrade is not upgrades


def test_options_beat_environment_beats_file_beats_defaults(tmp_path: Path) -> None:
    """Each source overrides the weaker ones, and every value knows its source, a file's with the line."""
    write(
        tmp_path / "mairust.toml", "# mine\n[smtp]\nlisten = ':1'\nmax_size = '1MiB'\n[node]\nworkers = 2\n"
    )
    found = load_settings(
        data_dir=tmp_path,
        env={"MAIRUST_SMTP__LISTEN": ":2", "MAIRUST_NODE__WORKERS": "3", "MAIRUST_BLOBS__S3__BUCKET": "b"},
        overrides={"smtp.listen": ":3", "lmtp.listen": None},
    )
    assert (str(found.smtp.listen), found.node.workers, found.smtp.max_size) == (":3", 3, 1 << 20)
    assert found.blobs.s3.bucket == "b"
    file = tmp_path / "mairust.toml"
    assert found.config_file == file
    origins = {
        "smtp.listen": (Origin(kind="option", name="--smtp"), "--smtp"),
        "node.workers": (Origin(kind="environment", name="MAIRUST_NODE__WORKERS"), "MAIRUST_NODE__WORKERS"),
        "smtp.max_size": (Origin(kind="file", file=file, line=4), f"{file}:4"),
        "lmtp.listen": (Origin(kind="default"), "default"),
        "node.data_dir": (Origin(kind="option", name="--data-dir"), "--data-dir"),
    }
    for key, (origin, text) in origins.items():
        assert found.origin(key) == origin
        assert str(found.origin(key)) == text


def test_typed_options_are_taken(tmp_path: Path) -> None:
    """Options may be given as text or as values of their type."""
    overrides = {"smtp.listen": ListenAddress(), "node.workers": 4, "blobs.path": Path("/b")}
    found = load_settings(data_dir=tmp_path, env={}, overrides=overrides)
    assert (found.smtp.listen.off, found.node.workers, found.blobs.path) == (True, 4, Path("/b"))


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """Relative paths of a file start at its directory, others at the working directory."""
    text = """
        [node]
        data_dir = "data"
        [database]
        url = "sqlite:///db/mail.db"
        [lmtp]
        listen = "unix:run/lmtp.sock"
        [smtp]
        tls_cert = "tls/../cert.pem"
        tls_key = "/key.pem"
    """
    file = write(tmp_path / "etc" / "any.conf", text)
    found = load_settings(config_file=file, env={"MAIRUST_BLOBS__PATH": "b"})
    assert found.data_dir == tmp_path / "etc/data"
    assert found.database.sqlite_path == tmp_path / "etc/db/mail.db"
    assert found.lmtp.listen.path == tmp_path / "etc/run/lmtp.sock"
    assert (found.smtp.tls_cert, found.smtp.tls_key) == (tmp_path / "etc/cert.pem", Path("/key.pem"))
    assert found.blobs.path == Path.cwd() / "b"
    assert found.secrets.master_key_file == tmp_path / "etc/data/master.key"


YAML = """
smtp:
  listen: off
  max_size: 20 MiB
  trusted_networks: [10.0.0.0/8, "::1"]
http:
node:
  workers: 3
  hostname: 7.example
lmtp: {listen: ":24"}
plugins:
  allow_unsigned: yes
"""


def test_yaml_says_the_same(tmp_path: Path) -> None:
    """YAML is read by suffix; its unquoted words spell whatever the setting is, `off` included."""
    file = write(tmp_path / "mairust.yml", YAML)
    found = load_settings(data_dir=tmp_path, env={})
    assert (found.smtp.listen.off, found.smtp.max_size) == (True, 20 << 20)
    assert found.smtp.trusted_networks == (ip_network("10.0.0.0/8"), ip_network("::1"))
    assert (found.node.workers, found.node.hostname) == (3, "7.example")
    assert (str(found.lmtp.listen), found.plugins.allow_unsigned) == (":24", True)
    assert str(found.origin("lmtp.listen")) == f"{file}:10"


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}\n"])
def test_empty_yaml_gives_nothing(tmp_path: Path, text: str) -> None:
    """A YAML file without anything in it leaves the defaults."""
    file = write(tmp_path / "mairust.yaml", text)
    assert load_settings(data_dir=tmp_path, env={}).config_file == file


def test_files_are_searched_in_order(tmp_path: Path) -> None:
    """--config, MAIRUST_CONFIG, DATA_DIR, XDG_CONFIG_HOME, then the system's: the first there is is taken."""
    home, xdg, system = tmp_path / "home", tmp_path / "xdg", tmp_path / "system"
    env = {"HOME": str(home), "XDG_CONFIG_HOME": str(xdg), "MAIRUST_CONFIG": str(tmp_path / "env.toml")}
    ordered = [
        tmp_path / "option.toml",
        tmp_path / "env.toml",
        tmp_path / "data/mairust.toml",
        tmp_path / "data/mairust.yaml",
        xdg / "mairust/mairust.toml",
        system / "mairust.toml",
    ]
    for file in ordered:
        write(file, "# here\n")
    for position, file in enumerate(ordered):
        found = find_document(
            config_file=ordered[0] if position == 0 else None,
            data_dir=tmp_path / "data",
            only_there=False,
            env=env if position <= 1 else env | {"MAIRUST_CONFIG": ""},
            system=system,
        )
        assert found is not None
        assert found.path == file
        file.unlink()
    assert find_document(config_file=None, data_dir=None, only_there=False, env={}, system=system) is None


@pytest.mark.parametrize(
    "place",
    ["data/mairust.toml", "data", "xdg/mairust/mairust.yaml", "xdg/mairust", "system/mairust.yml", "system"],
)
def test_a_link_that_leads_nowhere_is_not_no_configuration(tmp_path: Path, place: str) -> None:
    """Wherever a file is looked for: the defaults would make another site."""
    link = tmp_path / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "not-mounted")
    with pytest.raises(BadConfig, match="leads nowhere") as caught:
        find_document(
            config_file=None,
            data_dir=tmp_path / "data",
            only_there=False,
            env={"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "xdg")},
            system=tmp_path / "system",
        )
    assert str(link) in str(caught.value)
    write(tmp_path / "not-mounted", "")
    if link.suffix:
        load_settings(config_file=link, env={})


@pytest.mark.parametrize("by_option", [True, False])
def test_a_named_data_directory_ends_the_search(tmp_path: Path, by_option: bool) -> None:
    """With --data-dir or MAIRUST_DATA_DIR no file elsewhere is looked for."""
    write(tmp_path / "xdg/mairust/mairust.toml", "[node]\nworkers = 7\n")
    env = {"XDG_CONFIG_HOME": str(tmp_path / "xdg"), "HOME": str(tmp_path)}
    assert load_settings(env=env).node.workers == 7
    data = tmp_path / "data"
    named = (
        load_settings(data_dir=data, env=env)
        if by_option
        else load_settings(env=env | {"MAIRUST_DATA_DIR": str(data)})
    )
    assert (named.node.workers, named.data_dir, named.config_file) == (1, data, None)


@pytest.mark.parametrize(
    ("env", "expected", "origin"),
    [
        ({"MAIRUST_DATA_DIR": "/a", "STATE_DIRECTORY": "/b"}, "/a", "MAIRUST_DATA_DIR"),
        ({"MAIRUST_NODE__DATA_DIR": "/n", "STATE_DIRECTORY": "/b"}, "/n", "MAIRUST_NODE__DATA_DIR"),
        ({"STATE_DIRECTORY": "/b:/c", "XDG_DATA_HOME": "/x"}, "/b", "STATE_DIRECTORY"),
        ({"XDG_DATA_HOME": "/x", "HOME": "/h"}, "/x/mairust", "XDG_DATA_HOME"),
        ({"XDG_DATA_HOME": "x", "HOME": "/h"}, "/h/.local/share/mairust", "default"),
        ({"HOME": "/h", "MAIRUST_DATA_DIR": ""}, "/h/.local/share/mairust", "default"),
    ],
)
def test_data_directory_is_found(env: dict[str, str], expected: str, origin: str) -> None:
    """The data directory is the named one, systemd's, XDG's (unless relative), or the home's."""
    found = load_settings(env={"XDG_CONFIG_HOME": "/nowhere-at-all", **env})
    assert (found.data_dir, str(found.origin("node.data_dir"))) == (Path(expected), origin)


def test_config_file_does_not_move_a_named_data_directory(tmp_path: Path) -> None:
    """--data-dir wins over node.data_dir of the file."""
    file = write(tmp_path / "a.toml", "[node]\ndata_dir = 'elsewhere'\n")
    assert load_settings(config_file=file, env={"HOME": "/h"}).data_dir == tmp_path / "elsewhere"
    assert load_settings(config_file=file, data_dir=tmp_path / "d", env={}).data_dir == tmp_path / "d"


def values(settings: Settings) -> dict[str, Setting]:
    """What `config show` prints, by key."""
    return {item.key: item for item in effective(settings)}


def test_effective_values_can_be_written_back(tmp_path: Path) -> None:
    """What is shown of public settings gives the same settings again, from the environment."""
    first = load_settings(data_dir=tmp_path, env={"MAIRUST_SMTP__TRUSTED_NETWORKS": "::1, 10.0.0.0/8"})
    env = {}
    for key, item in values(first).items():
        if item.value is not None:
            text = " ".join(item.value) if isinstance(item.value, list) else str(item.value)
            env[f"MAIRUST_{key.upper().replace('.', '__')}"] = text
    assert load_settings(env=env) == first


def test_trap_a3_secrets_are_not_shown(tmp_path: Path) -> None:
    """Neither `config show` nor repr() reveals a password or a secret key; that one is there may be seen."""
    env = {"MAIRUST_DATABASE__URL": "postgresql://u:hush@h/d", "MAIRUST_BLOBS__S3__SECRET_KEY": "hush"}
    found = load_settings(data_dir=tmp_path, env=env)
    shown = values(found)
    assert shown["database.url"].value == "postgresql://u:********@h/d"
    assert shown["blobs.s3.secret_key"].value == "********"
    assert shown["blobs.s3.access_key"].value is None
    assert "hush" not in f"{shown} {found!r}"
    assert found.blobs.s3.secret_key == "hush"


def test_importing_loads_nothing_heavy() -> None:
    """Commands start fast: reading defaults loads neither parsers nor drivers."""
    code = (
        "import sys; from mairust_core.config import load_settings; load_settings(env={'HOME': '/h'});"
        "print({'tomlkit', 'tomllib', 'yaml', 'pydantic', 'sqlalchemy', 'idna'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
