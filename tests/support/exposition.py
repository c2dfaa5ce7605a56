"""Reads the text format of Prometheus (version 0.0.4) as strictly as its readers may."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABELS = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,(?!$)|$)')
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
KINDS = {"counter", "gauge", "histogram"}
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}


@dataclass(kw_only=True)
class Read:
    """One metric: its kind, and its numbers by name and labels as they are written."""

    kind: str = ""
    samples: dict[str, float] = field(default_factory=dict)


def read(text: str) -> dict[str, Read]:
    """Every metric by name; fails where the text is not what the format asks for."""
    assert text.endswith("\n")
    assert "\r" not in text
    found: dict[str, Read] = {}
    name, said = "", ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, help_ = line.removeprefix("# HELP ").split(" ", 1)
            assert _NAME.fullmatch(name), line
            assert help_, line
            assert name not in found, f"{name} is there twice"
            found[name] = Read()
            said = "HELP"
        elif line.startswith("# TYPE "):
            typed, kind = line.removeprefix("# TYPE ").split(" ", 1)
            assert (typed, said) == (name, "HELP"), line
            assert kind in KINDS, line
            assert (kind == "counter") == name.endswith("_total"), line
            found[name].kind, said = kind, "TYPE"
        else:
            assert said == "TYPE", line
            key, value = _sample(line, name, found[name].kind)
            assert key not in found[name].samples, f"{key} is there twice"
            found[name].samples[key] = value
    for histogram, one in found.items():
        if one.kind == "histogram":
            _adds_up(histogram, one)
    return found


def samples(text: str) -> dict[str, float]:
    """Every number by name and labels."""
    return {key: value for one in read(text).values() for key, value in one.samples.items()}


def _sample(line: str, family: str, kind: str) -> tuple[str, float]:
    match = _SAMPLE.fullmatch(line)
    assert match, line
    name, labels, value = match.groups()
    assert name in [family + suffix for suffix in SUFFIXES.get(kind, ("",))], line
    if labels is not None:
        names = list(_label_names(labels))
        assert len(names) == len(set(names)) > 0, line
    return line.rpartition(" ")[0], float(value)


def _label_names(labels: str) -> Iterator[str]:
    position = 0
    while position < len(labels):
        match = _LABELS.match(labels, position)
        assert match, labels
        yield match[1]
        position = match.end()


def _adds_up(name: str, one: Read) -> None:
    buckets = [value for key, value in one.samples.items() if key.startswith(f"{name}_bucket")]
    assert buckets == sorted(buckets), name
    assert one.samples[f'{name}_bucket{{le="+Inf"}}'] == one.samples[f"{name}_count"] == buckets[-1]
