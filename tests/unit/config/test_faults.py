"""Every fault of a configuration names file, line and key, and what is allowed."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from mairust_core.config import load_settings
from mairust_core.config.schema import keys
from mairust_core.errors import BadConfig, Usage
from mairust_core.i18n import LANGUAGES, catalogue, explain


def fault(text: str | bytes, tmp_path: Path, name: str = "mairust.toml") -> BadConfig:
    """The error that a file with this text causes."""
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
    with pytest.raises(BadConfig) as caught:
        load_settings(config_file=file, env={"HOME": str(tmp_path)})
    for lang in LANGUAGES:
        assert all(explain(caught.value, lang))
    return caught.value


TOML = [
    ("unknown_section_like", 2, "smpt", "\n[smpt]\nlisten = ':25'\n"),
    ("unknown_section", 1, "zzz", "[zzz]\n"),
    ("unknown_section_like", 1, "listen", "listen = ':25'\n"),
    ("unknown_section", 1, "'a.b'", "['a.b']\n"),
    ("unknown_section_like", 1, "'blobs.s3'", "['blobs.s3']\nbucket = 'x'\n"),
    ("unknown_key_like", 3, "smtp.listn", "[smtp]\n# where\nlistn = ':25'\n"),
    ("unknown_key_like", 2, "node.listen", "[node]\nlisten = ':25'\n"),
    ("unknown_key", 2, "node.qqqqqqq", "[node]\nqqqqqqq = 1\n"),
    ("unknown_key_like", 3, "blobs.s3.buket", "[blobs]\n[blobs.s3]\nbuket = 'x'\n"),
    ("unknown_key_like", 1, "blobs.s3.buket", "blobs = { s3 = { buket = 'x' } }\n"),
    ("unknown_key_like", 1, "smtp.listn", "smtp.listn = 1\n"),
    ("unknown_key_like", 1, "smtp.listn", "[[smtp.listn]]\n"),
    ("not_a_section", 1, "smtp", "smtp = 5\n"),
    ("not_a_section", 2, "smtp", "\n[[smtp]]\nlisten = ':1'\n[[smtp]]\n"),
    ("not_a_section", 2, "blobs.s3", "[blobs]\ns3 = 'x'\n"),
    ("listen", 2, "smtp.listen", "[smtp]\nlisten = 25\n"),
    ("listen", 2, "smtp.listen", "[smtp]\n[smtp.listen]\nhost = 'x'\n"),
    ("listen", 4, "http.listen", "[smtp]\nlisten = ':1'\n[http]\nlisten = '1.2.3.4'\n"),
    ("network", 3, "smtp.trusted_networks", "[smtp]\n\ntrusted_networks = [\n '10.0.0.0/8',\n '1/0',\n]\n"),
    ("networks", 1, "lmtp.trusted_networks", "lmtp.trusted_networks = '10.0.0.0/8'\n"),
    ("size", 2, "smtp.max_size", "[smtp]\nmax_size = '50MB'\n"),
    ("number", 2, "node.workers", "[node]\nworkers = 0\n"),
    ("number", 2, "node.workers", "[node]\nworkers = '2'\n"),
    ("number", 2, "node.workers", "[node]\nworkers = 0x" + "f" * 5000 + "\n"),
    ("flag", 2, "plugins.allow_unsigned", "[plugins]\nallow_unsigned = 'yes'\n"),
    ("choice", 2, "plugins.sandbox", "[plugins]\nsandbox = false\n"),
    ("not_yet", 2, "blobs.driver", "[blobs]\ndriver = 's3'\n"),
    ("not_yet", 2, "search.engine", "[search]\nengine = 'meilisearch'\n"),
    ("database_url", 2, "database.url", "[database]\nurl = 'mysql://x/y'\n"),
    ("database_url", 2, "database.url", "[database]\nurl = 'postgresql://u:p@host:abc/x'\n"),
    ("names", 2, "plugins.extensions", "[plugins]\nextensions = 'all'\n"),
    ("options", 2, "search.options", "[search]\noptions = 'all'\n"),
    ("options", 1, "blobs.options", "[blobs.options]\na = [1]\n"),
    ("http_url", 2, "blobs.s3.endpoint_url", "[blobs.s3]\nendpoint_url = 's3'\n"),
    ("path", 2, "blobs.path", "[blobs]\npath = ''\n"),
    ("text", 2, "blobs.s3.bucket", '[blobs.s3]\nbucket = "a\\u0000"\n'),
    ("hostname", 2, "node.hostname", "[node]\nhostname = 'a b'\n"),
    ("socket_path", 2, "lmtp.listen", f"[lmtp]\nlisten = 'unix:/{'x' * 105}/y'\n"),
    ("together", 3, "smtp.tls_cert", "[smtp]\nlisten = ':1'\ntls_cert = 'a.pem'\n"),
    ("together", 2, "http.tls_key", "[http]\ntls_key = 'a.pem'\n"),
    ("duplicate", 3, "smtp.listen", "[smtp]\nlisten = ':1'\nlisten = ':2'\n"),
    ("duplicate", 3, "smtp", "[smtp]\n[http]\n[smtp]\n"),
    ("duplicate", 2, "smtp", "smtp.listen = ':1'\n[smtp]\n"),
    ("duplicate", 4, "smtp.listen", "[smtp]\nlisten = '''\n:1'''\nlisten = ':2'\n[http]\n"),
    ("duplicate", 3, "a", "[b]\n[[a]]\n[a]\n"),
    ("syntax", 2, "", "[smtp]\nlisten = 127.0.0.1:2525\nmax_size = 5\n"),
    ("syntax", 2, "", "[smtp]\nlisten = ':1\n"),
    ("syntax", 2, "", "[smtp]\ntrusted_networks = [\n'10.0.0.0/8',\n"),
    ("syntax", 3, "", "[smtp]\nlisten = ':1'\nfoo"),
    ("syntax", 1, "", "[smtp\n"),
    ("syntax", 2, "", "[node]\nworkers = " + "9" * 5000 + "\n"),
    ("syntax", 1, "", "a = 2021-02-30\n"),
    ("too_deep", None, "", "a = " + "[" * 5000),
]


@pytest.mark.parametrize(("detail", "line", "key", "text"), TOML, ids=range(len(TOML)))
def test_toml_faults_name_file_line_and_key(
    tmp_path: Path, detail: str, line: int | None, key: str, text: str
) -> None:
    """A fault in TOML is told with its place, and the place is the one of the guilty statement."""
    error = fault(text, tmp_path)
    place = f"{tmp_path}/mairust.toml" + (f":{line}" if line else "")
    assert (error.detail, error.values["line"], error.values["key"]) == (detail, line, key)
    assert explain(error)[0].startswith(f"{place}: ")


YAML = [
    ("unknown_section_like", 1, "smpt", "smpt:\n  listen: ':25'\n"),
    ("unknown_key_like", 3, "smtp.listn", "smtp:\n  # where\n  listn: ':25'\n"),
    ("unknown_key_like", 3, "blobs.s3.buket", "blobs:\n  s3:\n    buket: x\n"),
    ("not_a_section", 1, "smtp", "smtp: 5\n"),
    ("not_a_section", 1, "smtp", "smtp: [1]\n"),
    ("listen", 2, "smtp.listen", "smtp:\n  listen: 25\n"),
    ("listen", 2, "smtp.listen", "smtp:\n  listen:\n"),
    ("number", 2, "node.workers", "node:\n  workers: '2'\n"),
    ("number", 2, "node.workers", "node: {hostname: a,\n workers: {}}\n"),
    ("duplicate", 3, "smtp.listen", "smtp:\n  listen: ':1'\n  listen: ':2'\n"),
    ("duplicate", 3, "smtp", "smtp:\nhttp:\nsmtp:\n"),
    ("yaml", 2, "", "smtp:\n\tlisten: x\n"),
    ("yaml", 2, "", "smtp: {\n"),
    ("yaml", 1, "", "just text\n"),
    ("yaml", 1, "", "? [a, b]\n: c\n"),
    ("yaml", 2, "", "smtp: &a\nhttp: *a\n"),
    ("yaml", 2, "", "a: 1\nb: \x01\n"),
    ("yaml", 2, "", "a: 1\n--- \nb: 2\n"),
    ("too_deep", 1, "", "a: " + "[" * 3000),
]


@pytest.mark.parametrize(("detail", "line", "key", "text"), YAML, ids=range(len(YAML)))
def test_yaml_faults_name_file_line_and_key(
    tmp_path: Path, detail: str, line: int, key: str, text: str
) -> None:
    """A fault in YAML is told with its place, like one in TOML."""
    error = fault(text, tmp_path, "x.yaml")
    assert (error.detail, error.values["line"], error.values["key"]) == (detail, line, key)
    assert explain(error)[0].startswith(f"{tmp_path}/x.yaml:{line}: ")


def test_a_close_spelling_is_suggested(tmp_path: Path) -> None:
    """A typing error is answered with the likely word and all that is allowed."""
    what, hint = explain(fault("[lmtp]\nlisen = ':25'\n", tmp_path))
    assert what == f"{tmp_path}/mairust.toml:2: there is no setting lmtp.lisen."
    assert hint == "Did you mean listen? Allowed there: listen, trusted_networks."
    assert "Did you mean smtp.max_size?" in explain(fault("[node]\nmax_size = 5\n", tmp_path))[1]


def test_windows_line_ends_count_once(tmp_path: Path) -> None:
    """CRLF and a byte order mark change neither values nor line numbers."""
    assert fault(b"\xef\xbb\xbf[smtp]\r\n\r\nlisten = 5\r\n", tmp_path).values["line"] == 3


def test_other_encodings_are_refused_with_the_line(tmp_path: Path) -> None:
    """A file that is not UTF-8 is told with the line of the first wrong octet."""
    error = fault("[smtp]\n# ü\n".encode("latin-1"), tmp_path)
    assert (error.detail, error.values["line"]) == ("not_utf8", 2)


def test_files_have_a_limit(tmp_path: Path) -> None:
    """A file over 256 KiB is not a configuration."""
    assert fault(b"#" * (256 * 1024 + 1), tmp_path).detail == "too_long"


def test_a_missing_named_file_is_an_error(tmp_path: Path) -> None:
    """A file named by --config or MAIRUST_CONFIG must exist."""
    missing = tmp_path / "missing.toml"
    for config_file, env in ((missing, {}), (None, {"MAIRUST_CONFIG": str(missing)})):
        with pytest.raises(BadConfig, match=f"{missing}: the configuration cannot be read: No such file"):
            load_settings(config_file=config_file, env={"HOME": str(tmp_path), **env})


def test_unreadable_files_are_an_error(tmp_path: Path) -> None:
    """What stands where the configuration should be and cannot be read is told, also when only found."""
    (tmp_path / "mairust.toml").mkdir()
    for config_file, data_dir in ((tmp_path / "mairust.toml", None), (None, tmp_path)):
        with pytest.raises(BadConfig, match=r"cannot be read: Is a directory"):
            load_settings(config_file=config_file, data_dir=data_dir, env={"HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("variable", "value", "detail"),
    [
        ("MAIRUST_SMTP__LISTN", ":25", "unknown_variable_like"),
        ("MAIRUST_QQ__ZZ", "", "unknown_variable"),
        ("MAIRUST_smtp__listen", ":25", "unknown_variable"),
        ("MAIRUST_SMTP__LISTEN", "25", "listen"),
        ("MAIRUST_NODE__WORKERS", "two", "number"),
        ("MAIRUST_HTTP__TLS_CERT", "a.pem", "together"),
    ],
)
def test_faults_in_the_environment_name_the_variable(
    tmp_path: Path, variable: str, value: str, detail: str
) -> None:
    """A wrong or unknown MAIRUST_SECTION__KEY is an error that begins with its name."""
    with pytest.raises(BadConfig) as caught:
        load_settings(data_dir=tmp_path, env={variable: value})
    assert caught.value.detail == detail
    assert explain(caught.value)[0].startswith(f"{variable}: ")
    assert all(explain(caught.value, "ja"))


def test_other_variables_are_not_settings(tmp_path: Path) -> None:
    """Global options and the test suite's variables are no settings; nor are other programs'."""
    names = ("SERVER", "TOKEN", "LANG", "CRASH_AT", "TEST_PG__DSN", "KILL_ROUNDS", "CORPORA", "SQLITE")
    env = {f"MAIRUST_{name}": "x" for name in names} | {"OTHER__THING": "x"}
    assert load_settings(data_dir=tmp_path, env=env).data_dir == tmp_path


def test_faults_of_options_name_the_option(tmp_path: Path) -> None:
    """A wrong option is told by the name the user typed."""
    with pytest.raises(Usage, match=r'^--smtp: "25" is not an address'):
        load_settings(data_dir=tmp_path, env={}, overrides={"smtp.listen": "25"})
    with pytest.raises(BadConfig, match=r"^smtp\.listn: there is no setting .*Did you mean smtp\.listen"):
        load_settings(data_dir=tmp_path, env={}, overrides={"smtp.listn": "25"})


def test_overridden_faults_are_told_all_the_same(tmp_path: Path) -> None:
    """A wrong value in the file is an error even where a stronger source gives a right one."""
    (tmp_path / "mairust.toml").write_text("[node]\nworkers = 0\n")
    with pytest.raises(BadConfig, match=r"mairust\.toml:2: node\.workers = 0 is not"):
        load_settings(data_dir=tmp_path, env={"MAIRUST_NODE__WORKERS": "2"})


def test_secrets_never_stand_in_errors(tmp_path: Path) -> None:
    """A wrong secret is told without its value (trap A3)."""
    for text in (
        "[blobs.s3]\nsecret_key = 'hush\\n'\n".replace("'", '"'),
        "[database]\nurl = 'pg://u:hush@h/d'\n",
    ):
        error = fault(text, tmp_path)
        assert "hush" not in f"{error} {explain(error, 'ja')} {error!r} {error.values}"


def test_no_home_and_no_directory_is_an_error(tmp_path: Path) -> None:
    """Without any place for the data the error says how to name one; a file may name it, too."""
    homeless = {"HOME": "nowhere"}
    with pytest.raises(BadConfig, match=r"no home directory .*--data-dir or MAIRUST_DATA_DIR"):
        load_settings(env=homeless)
    file = tmp_path / "a.toml"
    file.write_text("node.data_dir = 'data'")
    assert load_settings(config_file=file, env=homeless).data_dir == tmp_path / "data"


OPTIONS = [str(key) for key in keys().values() if key.declared.option]


@pytest.mark.parametrize(
    ("key", "value"),
    [*((key, "\n") for key in OPTIONS), *((key, "unix:/" + "x" * 200) for key in OPTIONS if "listen" in key)],
)
def test_every_option_has_texts_for_its_wrong_values(tmp_path: Path, key: str, value: str) -> None:
    """In the words of the command line, not of a file."""
    with pytest.raises(Usage) as refused:
        load_settings(data_dir=tmp_path, env={}, overrides={key: value})
    assert refused.value.key in catalogue("en")
