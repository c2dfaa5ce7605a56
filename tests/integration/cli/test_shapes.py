"""Every `--json` answer has the shape that the reference says: no member more, none less."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass, replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest

from mairust_cli.outline import outline
from mairust_cli.shapes import SHAPES, WITHOUT, members, named_types
from mairust_core import store, wire
from mairust_core.app import opened
from mairust_core.config import load_settings
from mairust_core.hooks.log import Noted
from mairust_core.hooks.sayings import Saying
from mairust_core.model.forms import Page
from mairust_core.model.hook import Mode
from mairust_core.model.hook_forms import HookCall, Outcome
from mairust_core.model.job import NewJob
from mairust_core.model.plugin_life import LogOrigin
from mairust_core.model.story import Story
from mairust_core.model.verdict import ActionWord
from mairust_core.plugins.package import keys
from tests.integration.cli.conftest import MAIL, make_sources
from tests.support.answering import http_plugin
from tests.support.command_line import CHECKOUT, Ran, Run, process
from tests.support.hooking import logged
from tests.support.jobs import enqueue, kill
from tests.support.linking import allow_unsigned, approved, http_text, link, manifest_text
from tests.support.packages import publish
from tests.support.packaging import offer, taken_in
from tests.support.server import SMALL_RESERVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the calls below are made on: ids of messages, a key and a dead job, and files with mail."""

    message: str
    deleted: str
    token: str
    job: str
    mail: str
    plugin_token: str = ""

    @property
    def maildir(self) -> Path:
        """A Maildir with that mail."""
        return Path(self.mail).parent / "Maildir"

    @property
    def mbox(self) -> Path:
        """An mbox with it."""
        return Path(self.mail).parent / "mail.mbox"

    @property
    def repository(self) -> Path:
        """A repository of backups, with one of this site."""
        return Path(self.mail).parent / "backup"

    @property
    def plugin(self) -> Path:
        """The directory of a plugin."""
        return Path(self.mail).parent / "spam"

    @property
    def published(self) -> Path:
        """A directory with a plugin, its package, and keys."""
        return Path(self.mail).parent / "published"

    @property
    def offered(self) -> Path:
        """A directory with packages of a root that is trusted."""
        return Path(self.mail).parent / "offered"

    @property
    def root(self) -> str:
        """A root that is trusted."""
        return keys.key_id(keys.read_public((self.offered / "example-root.pub").read_bytes()))

    @property
    def package(self) -> Path:
        """A package there."""
        return self.published / "spam.mairust-plugin"

    @property
    def by_root(self) -> str:
        """The option that names the root."""
        return f"--by {self.published}/root.key"

    @property
    def out(self) -> Path:
        """Where nothing is yet."""
        return Path(self.mail).parent / "out"


REVOCATIONS = "example-root.revocations.json"

CALLS: dict[str, Callable[[Ground], str]] = {
    "search": lambda _: "search subject:hello --account ann@example.org",
    "index status": lambda _: "index status",
    "index rebuild": lambda _: "index rebuild",
    "index drop": lambda _: "index drop --yes",
    "init": lambda _: "init",
    "domain add": lambda _: "domain add new.example",
    "domain list": lambda _: "domain list",
    "domain show": lambda _: "domain show example.org",
    "domain remove": lambda _: "domain remove empty.example --yes",
    "account add": lambda _: "account add carl@example.org",
    "account list": lambda _: "account list --limit 1",
    "account show": lambda _: "account show ann@example.org",
    "account edit": lambda _: "account edit ann@example.org --quota 1G",
    "account passwd": lambda _: "account passwd ann@example.org --password-stdin",
    "account enable": lambda _: "account enable ann@example.org",
    "account disable": lambda _: "account disable bob@example.org",
    "account remove": lambda _: "account remove bob@example.org --yes",
    "alias add": lambda _: "alias add x@example.org --to ann@example.org",
    "alias list": lambda _: "alias list",
    "alias show": lambda _: "alias show sales@example.org",
    "alias remove": lambda _: "alias remove sales@example.org --yes",
    "mailbox list": lambda _: "mailbox list --account ann@example.org",
    "mailbox create": lambda _: "mailbox create Play --account ann@example.org",
    "mailbox rename": lambda _: "mailbox rename Work Play --account ann@example.org",
    "mailbox delete": lambda _: "mailbox delete Work --account ann@example.org --yes",
    "message append": lambda g: f"message append {g.mail} --account ann@example.org",
    "message list": lambda _: "message list --account ann@example.org",
    "message show": lambda g: f"message show {g.message}",
    "message export": lambda g: f"message export {g.message} --output {Path(g.mail).parent / 'mails'}",
    "message tag": lambda g: f"message tag {g.message} --add bill",
    "message flag": lambda g: f"message flag {g.message} --add \\Seen",
    "message move": lambda g: f"message move {g.message} --to Work",
    "message delete": lambda g: f"message delete {g.message}",
    "message undelete": lambda g: f"message undelete {g.deleted}",
    "message release": lambda g: f"message release {g.message}",
    "import maildir": lambda g: f"import maildir {g.maildir} --account ann@example.org",
    "import mbox": lambda g: f"import mbox {g.mbox} --account ann@example.org",
    "export maildir": lambda g: f"export maildir {g.out} --account ann@example.org",
    "export mbox": lambda g: f"export mbox {g.out} --account ann@example.org",
    "plugin new": lambda g: f"plugin new {g.published}/new --id com.example.new",
    "plugin lint": lambda g: f"plugin lint {g.published}/spam",
    "plugin pack": lambda g: f"plugin pack {g.published}/spam --output {g.published}/packed",
    "plugin sign": lambda g: f"plugin sign {g.package} --as marketplace --key {g.published}/market.key",
    "plugin verify": lambda g: f"plugin verify {g.package} --trust {g.published}/root.key.pub",
    "key generate": lambda g: f"key generate {g.published}/new.key",
    "key list": lambda g: f"key list {g.published}",
    "key certify": lambda g: f"key certify {g.published}/ann.key.pub {g.by_root} --not-after 9d",
    "key revoke": lambda g: f"key revoke {g.published}/list {g.by_root} --package {g.package}",
    "key license": lambda g: (
        f"key license com.example.spam {g.by_root} --holder Ann --not-after 9d --into " + str(g.package)
    ),
    "plugin install": lambda g: f"plugin install {g.offered}/spam-1.0.0.mairust-plugin",
    "plugin upgrade": lambda g: f"plugin upgrade {g.offered}/kept/spam-1.1.0.mairust-plugin",
    "plugin rollback": lambda _: "plugin rollback com.example.back",
    "trust add": lambda g: f"trust add {g.published}/ann.key.pub --name Ann",
    "trust list": lambda _: "trust list",
    "trust remove": lambda g: f"trust remove {g.root} --yes",
    "trust confirm-revocations": lambda g: f"trust confirm-revocations {g.root}",
    "trust import-revocations": lambda g: f"trust import-revocations {g.offered / REVOCATIONS}",
    "plugin link": lambda g: f"plugin link {g.plugin}",
    "plugin approve": lambda _: "plugin approve com.example.waiting --yes",
    "plugin list": lambda _: "plugin list",
    "plugin show": lambda _: "plugin show com.example.waiting",
    "plugin enable": lambda _: "plugin enable com.example.spam",
    "plugin disable": lambda _: "plugin disable com.example.spam",
    "plugin remove": lambda _: "plugin remove com.example.spam --yes",
    "plugin rotate-secret": lambda _: "plugin rotate-secret com.example.spam",
    "plugin token create": lambda _: "plugin token create com.example.spam --scope metrics",
    "plugin token list": lambda _: "plugin token list com.example.spam",
    "plugin token reissue": lambda g: f"plugin token reissue com.example.spam {g.plugin_token}",
    "plugin token revoke": lambda g: f"plugin token revoke com.example.spam {g.plugin_token}",
    "plugin logs": lambda _: "plugin logs com.example.spam",
    "plugin accesses": lambda _: "plugin accesses com.example.spam",
    "message accesses": lambda g: f"message accesses {g.message}",
    "account accesses": lambda _: "account accesses ann@example.org",
    "hook add": lambda _: "hook add bills --type post_receive --plugin com.example.spam --filter size_gt=1M",
    "hook list": lambda _: "hook list",
    "hook show": lambda _: "hook show com.example.spam:pre_receive",
    "hook edit": lambda _: "hook edit com.example.spam:pre_receive --mode shadow",
    "hook enable": lambda _: "hook enable com.example.spam:pre_receive",
    "hook disable": lambda _: "hook disable com.example.spam:pre_receive",
    "hook remove": lambda _: "hook remove com.example.spam:pre_receive --yes",
    "hook reset": lambda _: "hook reset com.example.spam:pre_receive",
    "hook log": lambda _: "hook log com.example.spam:pre_receive",
    "hook test": lambda g: f"hook test com.example.spam --message {g.mail} --to ann@example.org",
    "hook replay": lambda _: "hook replay com.example.spam:pre_receive --account ann@example.org",
    "job list": lambda _: "job list",
    "job show": lambda g: f"job show {g.job}",
    "job retry": lambda g: f"job retry {g.job}",
    "job discard": lambda g: f"job discard {g.job} --yes",
    "job release": lambda g: f"job release {g.job}",
    "trace": lambda g: f"trace {g.message}",
    "token create": lambda _: "token create --name t --scope read --expires 9d",
    "token list": lambda _: "token list",
    "token revoke": lambda g: f"token revoke {g.token}",
    "backup create": lambda g: f"backup create {g.repository}",
    "backup list": lambda g: f"backup list {g.repository}",
    "backup verify": lambda g: f"backup verify {g.repository} --read-data",
    "backup prune": lambda g: f"backup prune {g.repository} --keep-last 1 --yes",
    "restore": lambda g: f"restore {g.repository} --rehearse",
    "status": lambda _: "status",
    "doctor": lambda _: "doctor",
    "audit list": lambda _: "audit list",
    "secrets list": lambda _: "secrets list",
    "secrets status": lambda _: "secrets status",
    "secrets rotate-master": lambda _: "secrets rotate-master",
    "gc": lambda _: "gc",
    "config show": lambda _: "config show",
    "config check": lambda _: "config check",
    "config export": lambda _: "config export",
    "db upgrade": lambda _: "db upgrade",
    "db check": lambda _: "db check",
}
"""One call of each command that finds something."""


@pytest.fixture(scope="module")
def laid(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A site with one of everything and a plugin that answers, to be copied."""
    root = tmp_path_factory.mktemp("ground")
    site, mail = root / "site", root / "mail.eml"
    shutil.copytree(template, site)
    mail.write_bytes(MAIL)

    def must(*arguments: str) -> Ran:
        done = process(root, *arguments, "--data-dir", str(site), extra=SMALL_RESERVE)
        assert done.code == 0, done.stderr
        return done

    must("domain", "add", "empty.example")
    must("alias", "add", "sales@example.org", "--to", "ann@example.org")
    must("mailbox", "create", "Work", "--account", "ann@example.org")
    message, deleted = (
        must("message", "append", str(mail), "--account", "ann@example.org", "--json").json["id"]
        for _ in range(2)
    )
    must("message", "delete", deleted)
    token = must("token", "create", "--name", "t", "--scope", "read", "--json").json["token"]["id"]
    must("gc")
    with opened(load_settings(data_dir=site, env={})) as here:
        job = enqueue(here, NewJob(kind="shape"))
        kill(here, job)
        with here.storage.write() as tx:
            here.secrets.put(tx, "shape", b"secret")
    make_sources(root)
    publish(root / "published")
    found = Ground(message=message, deleted=deleted, token=token, job=job, mail=str(mail))
    with http_plugin() as plugin:
        register_plugins(site, found.plugin, plugin.port)
        register_packages(site, found.offered)
        must("hook", "replay", "com.example.spam:pre_receive", "--account", "ann@example.org")
        must("backup", "create", str(found.repository))
        issued = must("plugin", "token", "create", "com.example.spam", "--scope", "metrics", "--json").json
        yield replace(found, plugin_token=issued["token"]["id"])


@pytest.fixture
def ground(laid: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    """A copy of one's own, found through MAIRUST_DATA_DIR, and a new password on stdin."""
    shutil.copytree(Path(laid.mail).parent, tmp_path / "ground")
    monkeypatch.setenv("MAIRUST_DATA_DIR", str(tmp_path / "ground" / "site"))
    monkeypatch.setattr("sys.stdin", StringIO("correct horse battery staple\n"))
    return replace(laid, mail=str(tmp_path / "ground" / "mail.eml"))


def register_plugins(site: Path, directory: Path, port: int) -> None:
    """A plugin that is approved and was called once, and one that waits."""
    allow_unsigned(site)
    with opened(load_settings(data_dir=site, env={})) as here:
        approved(here, directory, http_text("com.example.spam", port, "pre_receive"))
        link(here, directory.with_name("waiting"), manifest_text("com.example.waiting"))
        call = HookCall(
            id=here.ids.next(), at=datetime.now(UTC), hook="com.example.spam:pre_receive",
            plugin="com.example.spam", delivery_id="d", mode=Mode.ENFORCE, outcome=Outcome.FAILED,
            action=ActionWord.TEMPFAIL, ms=1.5, detail="it was late", trace_id=here.ids.next(),
            message_id=None, recipient="ann@example.org",
        )  # fmt: skip
        with here.storage.write() as tx:
            store.hook_calls.record(here.storage, tx, [logged(call)])
        line = Saying(at_ms=0, plugin=call.plugin, hook=call.hook, origin=LogOrigin.STDERR, text="late")
        here.hook_log.record(Noted(sayings=[line]))


def register_packages(site: Path, directory: Path) -> None:
    """Packages to be installed, one to be upgraded and one to be rolled back."""
    with opened(load_settings(data_dir=site, env={})) as here:
        directory.mkdir()
        offer(directory, here, "com.example.offered")
        (directory / "kept").mkdir()
        offer(directory / "kept", here, "com.example.kept")
        taken_in(directory / "kept", here, "1.0.0")
        (directory / "back").mkdir()
        offer(directory / "back", here, "com.example.back")
        taken_in(directory / "back", here, "1.0.0", "1.1.0")


@pytest.mark.parametrize("command", SHAPES)
def test_the_answer_has_its_shape(run: Run, ground: Ground, command: str) -> None:
    """Read as its type and written again it is the same document."""
    done = run(*CALLS[command](ground).split(), "--json")
    assert done.code == 0, done.stderr
    kind = SHAPES[command][0]
    assert list(differences(kind, done.json)) == []
    assert json.loads(wire.dumps(wire.decode(kind, done.stdout))) == done.json
    if get_origin(kind) is Page:
        assert done.json["items"], "an empty list has no shape"


def test_the_other_answer_of_trace_has_its_shape(run: Run, home: Path, site: Path, mail: Path) -> None:
    """Without an id it is a list."""
    sent = process(home, "deliver", "ann@example.org", "--data-dir", str(site), stdin=mail.read_bytes())
    assert sent.code == 0
    done = run("trace", "--since", "1h", "--json")
    assert len(done.json["items"]) == 1
    assert list(differences(SHAPES["trace"][1], done.json)) == []


def test_the_other_answer_of_message_list_has_its_shape(run: Run, ground: Ground) -> None:
    """One that is searched says whether it is complete."""
    done = run("message", "list", "--account", "ann@example.org", "--query", "hel*", "--json")
    assert [item["id"] for item in done.json["items"]] == [ground.message]
    assert list(differences(SHAPES["message list"][1], done.json)) == []


@pytest.mark.parametrize("command", ["retry", "release", "discard"])
def test_the_other_answers_of_job_have_their_shape(run: Run, ground: Ground, command: str) -> None:
    """Of all jobs of a kind it is their number."""
    yes = ["--yes"] if command == "discard" else []
    done = run("job", command, "--all", "--kind", "shape", *yes, "--json")
    assert list(differences(SHAPES[f"job {command}"][1], done.json)) == []


def test_the_other_answer_of_rotate_master_has_its_shape(run: Run, ground: Ground) -> None:
    """What is prepared only is a key."""
    done = run("secrets", "rotate-master", "--prepare", "--json")
    assert list(differences(SHAPES["secrets rotate-master"][1], done.json)) == []


def test_the_other_answers_of_restore_have_their_shape(run: Run, ground: Ground, tmp_path: Path) -> None:
    """A site that is made, and mail that is put back."""
    at = ("--data-dir", str(tmp_path / "restored"))
    made = run("restore", str(ground.repository), "--yes", "--json", *at)
    assert list(differences(SHAPES["restore"][1], made.json)) == []
    put_back = run("restore", str(ground.repository), "--account", "ann@example.org", "--yes", "--json")
    assert list(differences(SHAPES["restore"][2], put_back.json)) == []


def test_the_answer_for_several_messages_has_its_shape(run: Run, ground: Ground) -> None:
    """As the head of the reference says."""
    done = run("message", "tag", ground.message, ground.deleted, "4711", "--add", "bill", "--json")
    assert (done.code, set(done.json)) == (3, {"items", "failed"})
    (item,) = done.json["items"]
    assert list(differences(SHAPES["message tag"][0], item)) == []
    assert {one["id"]: one["error"]["code"] for one in done.json["failed"]} == {
        ground.deleted: "conflict",
        "4711": "not_found",
    }


def differences(kind: Any, found: Any, at: str = "") -> Iterator[str]:
    """Members that a value has and its type has not, and the other way round."""
    if get_origin(kind) is Page:
        (item,) = get_args(kind)
        if set(found) != {"items", "next_cursor"}:
            yield f"{at}: {sorted(found)}"
        for number, one in enumerate(found["items"]):
            yield from differences(item, one, f"{at}[{number}]")
    elif is_dataclass(kind) and isinstance(found, dict):
        wanted = members(kind)
        yield from (f"{at}.{name}" for name in wanted.keys() ^ found.keys())
        for name, hint in wanted.items():
            yield from differences(hint, found.get(name), f"{at}.{name}")
    elif isinstance(found, list) and get_origin(kind) in (tuple, list):
        for one in found:
            yield from differences(get_args(kind)[0], one, at)
    else:
        for option in get_args(kind):
            if is_dataclass(option) and isinstance(found, dict):
                yield from differences(option, found, at)


def test_differences_are_seen() -> None:
    """A member more or less, at any depth; otherwise the test above would prove nothing."""
    good = {"events": [], "mails": [], "complete": True}
    assert list(differences(Story, good)) == []
    assert list(differences(Story, {**good, "more": 1})) == [".more"]
    assert next(differences(Story, {"events": [], "mails": [{"id": "1"}]})) == ".complete"
    assert list(differences(Page[Story], {"items": [{}], "next_cursor": None}))


def test_every_command_has_its_shape_or_says_why_not() -> None:
    """A new command must be entered in `mairust_cli/shapes.py`."""
    leaves = {" ".join(one.path) for one in outline().walk() if not one.children}
    assert leaves == set(SHAPES) | set(WITHOUT)
    assert set(CALLS) == set(SHAPES)


def test_the_page_names_every_member() -> None:
    """Of every object there is."""
    page = (CHECKOUT / "docs/reference/json.md").read_text("utf-8")
    for kind in named_types():
        section = re.search(rf"^### {kind.__name__}\n(.*?)(?=^#|\Z)", page, re.DOTALL | re.MULTILINE)
        assert section is not None, kind
        assert re.findall(r"^\| `(\w+)` \|", section[1], re.MULTILINE) == list(members(kind))
