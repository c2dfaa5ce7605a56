"""The documentation says what the code does."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

from mairust_core.config.reference import reference
from mairust_core.config.schema import keys, sections

ROOT = Path(__file__).resolve().parents[3]


def test_reference_page_is_fresh() -> None:
    """The page in docs/ is the one the declarations give."""
    page = (ROOT / "docs/reference/configuration.md").read_text("utf-8")
    assert page == reference(), "run: python -m mairust_core.config.reference docs/reference/configuration.md"


def test_every_setting_is_documented() -> None:
    """Every section has its heading and every setting a sentence; no two share a variable."""
    page = reference()
    assert all(f"### `[{section}]`" in page for section in sections())
    assert all(key.declared.doc.endswith(".") for key in keys().values())
    assert len({key.variable for key in keys().values()}) == len(keys())


def test_the_sections_of_the_contract_exist() -> None:
    """The sections that users may rely on are there, and no other."""
    promised = "node database blobs blobs.s3 search smtp lmtp http hooks plugins jobs telemetry secrets"
    assert list(sections()) == promised.split()


def test_every_fault_has_its_text_in_every_language() -> None:
    """Both catalogues explain every fault, filling in the same values."""
    english, japanese = (
        {key: text for key, text in json.loads(source).items() if key.startswith("bad_config.")}
        for source in (
            files("mairust_core.i18n").joinpath(f"{lang}.json").read_text("utf-8") for lang in ("en", "ja")
        )
    )
    assert english.keys() == japanese.keys()
    for key, texts in english.items():
        names, its = (set(re.findall(r"\{(\w+)\}", " ".join(t))) for t in (texts, japanese[key]))
        assert names == its, key
