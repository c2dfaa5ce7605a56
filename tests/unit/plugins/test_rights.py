"""What asks for more than was approved, and what approves itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mairust_core.model.hook import HookType
from mairust_core.model.plugin import (
    Body,
    Entry,
    Limits,
    Manifest,
    Network,
    Permissions,
    ProcessMode,
    Protocol,
)
from mairust_core.model.plugin_forms import RightKind
from mairust_core.model.trust import Signers
from mairust_core.plugins.rights import Standing, approves_itself, asks_for_more, fingerprint, review
from tests.unit.plugins.manifests import SPAM, TICKETS, manifest


def changed(old: str, new: str, text: str = SPAM) -> Manifest:
    """A version that differs in one place."""
    assert old in text
    return manifest(text.replace(old, new))


@pytest.mark.parametrize(
    ("wanted", "more"),
    [
        (changed('"1.2.3"', '"1.3.0"'), False),
        (changed("write_tags = true\n", ""), False),
        (changed("write_tags", "write_flags"), True),
        (changed("write_tags = true", 'write_tags = true\nread_body = "preview"'), True),
        (changed("[permissions]", '[[hooks]]\ntype = "post_receive"\n[permissions]'), True),
        (changed('[[hooks]]\ntype = "pre_receive"\n', ""), False),
        (changed('type = "pre_receive"', 'type = "pre_receive"\npriority = 5\ntimeout_ms = 100'), False),
        (changed('type = "pre_receive"', 'type = "pre_receive"\ntimeout_ms = 5000'), True),
        (
            changed(
                'type = "pre_receive"',
                'type = "pre_receive"\ntimeout_ms = 5000',
                SPAM + "[limits]\nwall_time_ms = 2000\n",
            ),
            False,
        ),
        (changed('type = "pre_receive"', 'type = "pre_receive"\nfilter = {size_gt = 5}'), True),
        (changed('type = "pre_receive"', 'type = "pre_receive"\non_timeout = "reject"'), True),
        (manifest(SPAM + "[limits]\nmemory_mb = 128\nwall_time_ms = 50\n"), False),
        (manifest(SPAM + "[limits]\nmemory_mb = 257\n"), True),
        (manifest(SPAM + '[limits]\nnetwork = "unlimited"\n'), True),
        (changed('command = ["./spam"]', 'command = ["./spam2"]'), False),
    ],
)
def test_what_asks_for_more_needs_approval(wanted: Manifest, more: bool) -> None:
    """Reading, writing, deciding, reaching, using: any of them."""
    assert asks_for_more(wanted, manifest(SPAM)) is more


WORKER = SPAM.replace("[[hooks]]", 'mode = "worker"\n[[hooks]]')


@pytest.mark.parametrize(
    ("was", "wanted", "told"),
    [
        (SPAM, WORKER, ("1000", "0", True)),
        (WORKER, WORKER, ("1000", "1000", False)),
        (WORKER, WORKER.replace('"worker"', '"worker"\nmax_calls = 1000000'), ("1000000", "1000", True)),
        (WORKER, WORKER.replace('"worker"', '"worker"\nmax_calls = 10'), ("10", "1000", False)),
        (WORKER, SPAM, ("0", "1000", False)),
        (SPAM, SPAM.replace("[[hooks]]", "max_calls = 5000\n[[hooks]]"), None),
        (TICKETS, WORKER, ("1000", "0", True)),
    ],
)
def test_rule_h3_to_keep_what_it_saw_is_a_right(
    was: str, wanted: str, told: tuple[str, str, bool] | None
) -> None:
    """A process that stays, and for more calls: R-PERM-3 has somebody decide."""
    found = {right.name: right for right in review(manifest(wanted), manifest(was)).rights}.get("max_calls")
    assert told == (None if found is None else (found.value, found.was, found.more))
    assert asks_for_more(manifest(wanted), manifest(was)) is (was == TICKETS or bool(told and told[2]))


def test_rule_h3_the_first_review_tells_what_is_kept() -> None:
    """Of a worker; of a process for each call there is nothing to tell."""
    (kept,) = (right for right in review(manifest(WORKER), None).rights if right.name == "max_calls")
    assert (kept.kind, kept.value, kept.was, kept.more) == (RightKind.USE, "1000", None, True)
    assert "max_calls" not in {right.name for right in review(manifest(SPAM), None).rights}


def test_one_expression_is_not_taken_for_two() -> None:
    """What it holds may look like another key of the filter; a review shows where each ends."""
    two = 'filter = {sender_matches = "x", subject_matches = "invoice"}'
    one = 'filter = {sender_matches = "x subject_matches=invoice"}'
    approved, wanted = (
        changed('type = "pre_receive"', f'type = "pre_receive"\n{text}') for text in (two, one)
    )
    assert asks_for_more(wanted, approved)
    told = {right.name: right for right in review(wanted, approved).rights}["com.example.spam:pre_receive"]
    assert 'sender_matches="x subject_matches=invoice"' in told.value
    assert told.value != told.was


def test_another_endpoint_or_place_is_more() -> None:
    """The mail goes elsewhere."""
    old = manifest(TICKETS)
    assert asks_for_more(changed("9000", "9001", TICKETS), old)
    assert asks_for_more(changed('["127', '["127.0.0.1:25", "127', TICKETS), old)
    assert not asks_for_more(manifest(TICKETS), old)
    assert asks_for_more(
        changed('"stdin"\ncommand = ["./spam"]', '"unix"\nendpoint = "unix:/srv/mairust/run/plugins/x"'),
        manifest(SPAM),
    )


def test_rule_g1_one_place_for_another_is_more() -> None:
    """Though there are no more of them than before."""
    limits = '[limits]\nnetwork = "outbound-limited"\nnetwork_allow = ["a.example:443"]\n'
    old = manifest(SPAM + limits)
    assert asks_for_more(changed("a.example", "b.example", SPAM + limits), old)
    assert not asks_for_more(manifest(SPAM + limits), old)


def test_the_transport_of_an_extension_is_a_right() -> None:
    """Where it leads, and that it is another than before."""
    filed = replace(manifest(SPAM), entry=Entry(protocol=Protocol.EXTENSION, transport="acme", endpoint="/a"))
    told = {right.name: right for right in review(filed, manifest(SPAM)).rights}
    assert [(told[name].value, told[name].was, told[name].more) for name in ("protocol", "endpoint")] == [
        ("acme", "stdin", True),
        ("/a", "", True),
    ]
    moved = replace(filed, entry=replace(filed.entry, endpoint="/b"))
    assert asks_for_more(moved, filed)
    assert not asks_for_more(filed, filed)


def test_a_review_tells_each_right_beside_what_it_was() -> None:
    """Also one that is given up; what is not asked for is not in it."""
    old = manifest(SPAM)
    new = changed("write_tags = true", 'read_body = "full"')
    told = {right.name: right for right in review(new, old).rights}
    assert (told["read_body"].value, told["read_body"].was, told["read_body"].more) == ("full", "none", True)
    assert (told["write_tags"].value, told["write_tags"].was, told["write_tags"].more) == (
        "false",
        "true",
        False,
    )
    assert "move_message" not in told
    first = {right.name: right for right in review(old, None).rights}
    assert all(right.was is None for right in first.values())
    assert first["com.example.spam:pre_receive"].kind is RightKind.DECIDE
    assert first["cpu_ms"].value == "500"
    assert first["wall_time_ms"].value == ""


def test_an_approval_stands_for_exactly_what_was_reviewed() -> None:
    """Another manifest has another id."""
    assert fingerprint(manifest(SPAM)) == fingerprint(manifest(SPAM))
    assert fingerprint(manifest(SPAM)) != fingerprint(changed("1.2.3", "1.2.4"))
    assert review(manifest(SPAM), None).id == fingerprint(manifest(SPAM))


QUIET = replace(
    changed('"pre_receive"', '"post_receive"'), permissions=Permissions(read_headers=True), limits=Limits()
)


def test_rule_g1_modest_plugins_approve_themselves() -> None:
    """Signed by the marketplace, headers at most, after storing, no network, the usual limits."""
    assert approves_itself(QUIET, marketplace_signed=True)
    assert approves_itself(replace(QUIET, permissions=Permissions()), marketplace_signed=True)
    worker = replace(QUIET, entry=replace(QUIET.entry, mode=ProcessMode.WORKER))
    assert approves_itself(worker, marketplace_signed=True)


@pytest.mark.parametrize(
    "manifest_",
    [
        replace(QUIET, permissions=Permissions(read_headers=True, read_body=Body.PREVIEW)),
        replace(QUIET, permissions=Permissions(read_headers=True, write_tags=True)),
        replace(QUIET, hooks=(replace(QUIET.hooks[0], type=HookType.PRE_RECEIVE),)),
        replace(QUIET, hooks=(replace(QUIET.hooks[0], type=HookType.PRE_DELIVERY),)),
        replace(QUIET, hooks=(replace(QUIET.hooks[0], timeout_ms=300_000),)),
        replace(QUIET, limits=Limits(network=Network.LOCAL_ONLY, network_allow=("127.0.0.1:1",))),
        replace(QUIET, entry=Entry(protocol=Protocol.EXTENSION, transport="acme")),
        replace(QUIET, limits=Limits(cpu_ms=501)),
        replace(QUIET, limits=Limits(memory_mb=257)),
        replace(QUIET, limits=Limits(wall_time_ms=40_000)),
        replace(QUIET, entry=replace(QUIET.entry, mode=ProcessMode.WORKER, max_calls=1_001)),
    ],
)
def test_rule_g1_any_power_needs_somebody(manifest_: Manifest) -> None:
    """A hook before storing, any network, any more."""
    assert not approves_itself(manifest_, marketplace_signed=True)


def test_rule_g1_what_nobody_signed_needs_somebody() -> None:
    """However modest."""
    assert not approves_itself(QUIET, marketplace_signed=False)


ROOT, OTHER = Signers(root="a" * 16, key="b" * 16), Signers(root="c" * 16, key="c" * 16)
ANN = replace(ROOT, developer="d" * 16, developer_key="d" * 64)


@pytest.mark.parametrize(
    ("new", "was", "more"),
    [
        (ROOT, ROOT, set()),
        (replace(ROOT, key="e" * 16), ROOT, set()),
        (OTHER, ROOT, {"root"}),
        (Signers(), ROOT, {"root"}),
        (ROOT, Signers(), {"root"}),
        (ANN, ROOT, set()),
        (ROOT, ANN, {"developer"}),
        (replace(ANN, developer_key="e" * 64), ANN, {"developer"}),
        (Signers(developer="d" * 16, developer_key="d" * 64), ANN, {"root"}),
        (ROOT, None, set()),
        (Signers(), None, {"root"}),
    ],
    ids=[
        "the same", "another certified key", "another root", "nobody", "somebody", "a developer",
        "no developer", "another key of the same id", "a developer alone", "first", "first by nobody",
    ],
)  # fmt: skip
def test_rule_g5_who_stands_for_it_is_a_right(new: Signers, was: Signers | None, more: set[str]) -> None:
    """Another root or developer is more, whatever else is asked for; a key of the same root is not."""
    standing = Standing(package="0" * 64, signers=new, was=was, names={"a" * 16: "Example"})
    found = review(manifest(SPAM), manifest(SPAM) if was else None, standing)
    trust = [right for right in found.rights if right.kind is RightKind.TRUST]
    assert {right.name for right in trust if right.more} == more
    names = {None: "nobody", ROOT.root: f"Example ({ROOT.root})"}
    assert trust[0].value == names.get(new.root, new.root)
    if was is not None:
        assert asks_for_more(manifest(SPAM), manifest(SPAM), standing) == bool(more)


def test_a_review_stands_for_one_package_and_its_signers() -> None:
    """What is approved by its id is nothing else."""
    told = {
        fingerprint(manifest(SPAM), Standing(package=package, signers=signers))
        for package in ("0" * 64, "1" * 64)
        for signers in (Signers(), ROOT, ANN)
    }
    assert len(told | {fingerprint(manifest(SPAM))}) == 7
