"""Whatever stands in a file, reading it ends in settings or in `BadConfig`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mairust_core.config import load_settings
from mairust_core.config.schema import keys, sections
from mairust_core.config.toml_text import read_toml
from mairust_core.errors import BadConfig
from mairust_core.i18n import explain

MARKS = [
    "=",
    "[",
    "]",
    "[[",
    "{",
    "}",
    ",",
    ".",
    "'",
    '"',
    '"""',
    "#",
    "1",
    "0x",
    "true",
    "nan",
    "1979-05-27",
]
SIGNS = ["'x'", "&a", "*a", "- ", ": ", "?", "|", "\\u0000", " ", "\n", "\r\n", "\t"]
WORDS = st.sampled_from([*sections(), *(key.name for key in keys().values()), *MARKS, *SIGNS])
TEXTS = st.one_of(st.text(max_size=200), st.lists(WORDS, max_size=40).map("".join))


def read(data: bytes, suffix: str) -> None:
    """Load a file with these octets; only `BadConfig`, explained, may come of it."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / f"f{suffix}"
        file.write_bytes(data)
        try:
            found = load_settings(config_file=file, data_dir=Path("/d"), env={})
        except BadConfig as error:
            what = explain(error)[0]
        else:
            assert all(found.origin(key).kind for key in keys())
            return
    assert what.startswith(str(file))
    assert what.isprintable()


@given(TEXTS.map(str.encode) | st.binary(max_size=100), st.sampled_from([".toml", ".yaml"]))
@settings(max_examples=150)
def test_any_file_is_settings_or_bad_config(data: bytes, suffix: str) -> None:
    """No text and no octets raise anything but `BadConfig`, and its message is one printable line."""
    read(data, suffix)


@given(st.lists(st.sampled_from(sorted(keys())), unique=True), st.data())
@settings(max_examples=40)
def test_every_key_is_found_on_its_line(names: list[str], data: st.DataObject) -> None:
    """Lines are exact whatever stands between the keys: comments, blank lines, values over several lines."""
    text, expected = "", {}
    for name in names:
        text += data.draw(st.sampled_from(["", "\n", "# [node]\n", "#\n\n", "\t\n"]))
        expected[name] = text.count("\n") + 1
        text += f"{name} = " + data.draw(
            st.sampled_from(["1", "'''\n\nx = 2\n'''", "[\n1, # ]\n2\n]", '"""\\\n"""'])
        )
        text += "\n"
    document = read_toml(Path("f"), text)
    assert {name: document.line(tuple(name.split("."))) for name in names} == expected
