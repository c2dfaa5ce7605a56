"""What becomes of extensions: each is loaded when it is asked for something, and fails alone (rule G6)."""

from __future__ import annotations

import inspect
import logging
from pathlib import Path

import pytest

from mairust_cli.tree import COMMANDS
from mairust_core import extend
from mairust_core.api.extended import applications
from mairust_core.blobs import BlobStore
from mairust_core.blobs.drivers import open_blobs
from mairust_core.config import load_settings
from mairust_core.errors import BadConfig, StorageDown
from mairust_core.extend import MailHooks
from mairust_core.hooks.ways import Ways
from mairust_core.installed.drivers import lacks
from mairust_core.installed.extensions import Extensions
from mairust_core.installed.faults import FaultKind
from mairust_core.installed.offers import read_commands, read_routers
from mairust_core.installed.points import may_hold
from mairust_core.search.engines import Engines
from mairust_core.store import Databases, StorageBackend
from tests.support.docs import CHECKOUT
from tests.support.installed import ACME, FAULTY, installed

SPECIFICATIONS = {
    name: value for name, value in vars(extend).items() if getattr(value, f"{extend.GROUP}_spec", None)
}
ALL = {"acme-mairust": {"acme": ACME}}


def faults(found: Extensions) -> dict[str, list[FaultKind]]:
    """The kinds of faults by the name of the extension."""
    told: dict[str, list[FaultKind]] = {}
    for fault in found.faults:
        told.setdefault(fault.extension.name, []).append(fault.kind)
    return told


def test_every_specification_is_documented() -> None:
    """Under its exact signature, and with the moment, the answer, and what happens when it fails."""
    page = (CHECKOUT / "docs/reference/extensions.md").read_text("utf-8")
    sections = {part.partition("\n")[0]: part for part in page.split("\n## ")}
    for name, specification in SPECIFICATIONS.items():
        heading = f"`{name}{inspect.signature(specification)}`".replace("'", "")
        assert heading in sections
        assert all(f"**{word}" in sections[heading] for word in ("Asked", "Answer", "When it fails"))
    assert sum(heading.startswith("`") for heading in sections) == len(SPECIFICATIONS)


def test_every_specification_has_a_distribution_that_implements_it(tmp_path: Path) -> None:
    """And nothing is wrong with that."""
    found = installed(tmp_path, ALL)
    [acme] = found.installed
    assert found.implements(acme) == sorted(SPECIFICATIONS)
    assert set(read_commands(found)) == set(read_routers(found)) == {"acme"}
    assert found.faults == []
    assert (str(acme), acme.target) == ("acme-mairust 1.0", ACME)


def test_what_is_ours_implements_the_same_specifications() -> None:
    """By name and parameters."""
    for own in (Databases.open_storage, open_blobs, Engines.open_search, Ways.open_transport):
        wanted = inspect.signature(SPECIFICATIONS[own.__name__]).parameters
        assert [name for name in inspect.signature(own).parameters if name != "self"] == list(wanted)


def test_no_command_of_ours_can_be_taken() -> None:
    """Every name of the command line is kept: a new command is added to `extend.OUR_COMMANDS`."""
    assert set(COMMANDS) <= extend.OUR_COMMANDS


@pytest.mark.parametrize(
    ("module", "kind", "why"),
    [
        (f"{FAULTY}.nowhere", FaultKind.MISSING, "No module named"),
        ("acme_nowhere.deep.down", FaultKind.MISSING, "No module named 'acme_nowhere'"),
        (f"{FAULTY}.needing", FaultKind.IMPORT, "No module named 'acme_nowhere_else'"),
        (f"{FAULTY}.raising", FaultKind.IMPORT, "RuntimeError: it needs a moon"),
        (f"{FAULTY}.exiting", FaultKind.IMPORT, "SystemExit: no licence"),
        (f"{FAULTY}.empty:nothing", FaultKind.IMPORT, "AttributeError"),
        (f"{FAULTY}.empty", FaultKind.INVALID, "none of the specifications"),
        (f"{FAULTY}.misnaming", FaultKind.INVALID, "open_sesame"),
        (f"{FAULTY}.misreading", FaultKind.INVALID, "disk"),
        (f"{FAULTY}.wrapping", FaultKind.INVALID, "wrappers are not supported"),
    ],
)
def test_rule_g6_one_that_cannot_be_loaded_is_passed_over(
    module: str, kind: FaultKind, why: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, on one line; the others are asked."""
    found = installed(tmp_path, {"aaa": {"bad": module}, **ALL})
    with caplog.at_level(logging.INFO, "mairust.extensions"):
        assert [one.name for one in found.speaking()] == ["acme"]
        assert list(read_commands(found)) == ["acme"]
    [fault] = found.faults
    assert (fault.extension.name, fault.kind) == ("bad", kind)
    assert why in fault.why
    assert "\n" not in fault.why
    assert [fault.why in one.getMessage() for one in caplog.records] == [True]
    assert [one.levelno for one in caplog.records] == [logging.INFO], "commands say warnings on stderr"


def test_rule_g6_one_that_fails_when_it_is_asked_stops_no_other(tmp_path: Path) -> None:
    """Each failure is noted; what the others answer counts."""
    found = installed(tmp_path, {"aaa": {"bad": f"{FAULTY}.failing"}, **ALL})
    settings = load_settings(
        data_dir=tmp_path, env={}, overrides={"blobs.options": {"directory": str(tmp_path / "blobs")}}
    )
    store = found.first("open_blobs", lambda _: "", driver="acme", settings=settings)
    assert store.directory == tmp_path / "blobs"
    assert [one.answer for _, one in found.each_of("mail_hooks", MailHooks)]
    assert list(read_commands(found)) == list(read_routers(found)) == ["acme"]
    assert faults(found) == {"bad": [FaultKind.CALL] * 4}


def test_an_error_of_ours_is_an_answer(tmp_path: Path) -> None:
    """A database that is down is down, and not a broken extension."""
    found = installed(tmp_path, {"aaa": {"bad": f"{FAULTY}.failing"}})
    with pytest.raises(StorageDown):
        found.first("open_storage", lambda _: "", url="down:///x")
    assert found.faults == []
    assert found.first("open_storage", lambda _: "", url="other:///x") is None


def test_rule_g6_answers_of_the_wrong_kind_are_left_out(tmp_path: Path) -> None:
    """By what they lack; an item that is wrong takes no other with it, an end too early all of them."""
    found = installed(tmp_path, {"aaa": {"odd": f"{FAULTY}.returning"}, **ALL})
    assert found.first("open_storage", lambda one: lacks(StorageBackend, one), url="odd:///x") is None
    assert "has no " in found.faults[-1].why
    assert [one.answer for _, one in found.each_of("mail_hooks", MailHooks)][-1].__name__ == "greet"
    assert list(read_routers(found)) == list(read_commands(found)) == ["acme"]
    assert set(faults(found)["odd"]) == {FaultKind.ANSWER}
    told = " ".join(fault.why for fault in found.faults)
    for why in ("str is no MailHooks", "ZeroDivisionError", "'Odd' is no name", "'m' is not module:object"):
        assert why in told
    assert "red: its help" in told


def test_rule_g6_names_that_others_have_are_theirs(tmp_path: Path) -> None:
    """Ours first, then the first in the order of distributions; the rest of the late one stays."""
    points = {"zzz": {"greedy": f"{FAULTY}.greedy"}, **ALL}
    found = installed(tmp_path, points, ("zzz", "acme-mairust"))
    offered = read_commands(found)
    assert {name: one.extension.distribution for name, one in offered.items()} == {
        "acme": "acme-mairust",
        "greedy": "zzz",
    }
    assert read_routers(found)["acme"][0].distribution == "acme-mairust"
    assert faults(found) == {"greedy": [FaultKind.TAKEN] * 3}
    found.require()


def test_configuration_narrows_extensions_to_a_list(tmp_path: Path) -> None:
    """By distribution, however it is spelt; what is left out is not even imported."""
    points = {**ALL, "bad": {"raises": f"{FAULTY}.raising"}}
    found = installed(tmp_path, points, ("Acme_MaiRust",))
    assert [one.name for one in found.speaking()] == ["acme"]
    assert [found.is_wanted(one) for one in found.installed] == [True, False]
    found.require()
    assert found.faults == []
    assert installed(tmp_path / "none", points, ()).speaking() == []


def test_rule_g6_what_configuration_names_must_be_there_and_sound(tmp_path: Path) -> None:
    """Nobody names the others."""
    points = {**ALL, "bad": {"raises": f"{FAULTY}.raising"}}
    with pytest.raises(BadConfig, match="names nowhere"):
        installed(tmp_path / "1", points, ("nowhere", "acme-mairust")).require()
    named = installed(tmp_path / "2", points, ("bad",))
    named.speaking()
    with pytest.raises(BadConfig, match=r"bad 1\.0.*it needs a moon"):
        named.require()
    everybody = installed(tmp_path / "3", points)
    everybody.speaking()
    everybody.require()
    assert faults(everybody) == {"raises": [FaultKind.IMPORT]}


def test_what_an_object_lacks_of_a_port_is_named() -> None:
    """Methods and attributes."""
    assert lacks(BlobStore, object()).startswith("object has no close, collector, delete_many")
    assert "skip_locked" in lacks(StorageBackend, object())


def test_a_look_at_the_files_says_where_entry_points_may_be(tmp_path: Path) -> None:
    """So that importlib.metadata is not loaded in vain; an archive is not looked into."""
    installed(tmp_path / "acme", ALL)
    assert may_hold(str(tmp_path / "acme"))
    other = tmp_path / "other" / "other-1.0.dist-info"
    other.mkdir(parents=True)
    (other / "entry_points.txt").write_text("[console_scripts]\nmairust = mairust:main\n")
    (other.parent / "empty-1.0.dist-info").mkdir()
    assert not may_hold(str(other.parent))
    assert not may_hold(str(tmp_path / "nowhere"))
    (tmp_path / "some.zip").touch()
    assert may_hold(str(tmp_path / "some.zip"))


def test_rule_g6_a_router_that_cannot_be_made_takes_no_other_with_it(tmp_path: Path) -> None:
    """Nor does one that is no FastAPI router: it is asked as it is."""
    found = installed(tmp_path, {"aaa": {"odd": f"{FAULTY}.unroutable"}, **ALL})
    made = applications(found)
    assert set(made) == {"acme", "plain"}
    assert made["plain"][1] is made["plain"][0].router
    [fault] = found.faults
    assert (fault.kind, fault.why) == (FaultKind.ANSWER, "api_routers: odd: no routes today")
