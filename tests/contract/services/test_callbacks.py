"""What plugins say later, with tokens of their own: over HTTP, on both databases (rules F3, G3)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest

from mairust_core.hooks.book import Registered
from mairust_core.hooks.payload import Callback
from mairust_core.ids import now_ms
from mairust_core.model.account import Account
from mairust_core.model.hook import Mode
from mairust_core.model.hook_forms import HookChange
from mairust_core.model.ids import Id
from mairust_core.model.mailbox import NewMailbox
from mairust_core.model.message import Message
from mairust_core.model.message_change import MessageChange
from mairust_core.operations import BytesIn
from mairust_core.plugins.credentials import SiteCredentials
from mairust_core.plugins.registry import previous_name
from mairust_core.plugins.site_key import NAME, SiteKey
from mairust_core.services.hooks import Hooks
from mairust_core.services.mailboxes import Mailboxes
from mairust_core.services.messages import Messages
from mairust_core.services.plugins import Plugins
from tests.contract.services.conftest import Served
from tests.support.linking import approved, http_text, link, manifest_text, new_id

MAY = "write_tags = true\nwrite_flags = true\nmove_message = true\nwrite_metadata = true"
MAIL = b"Subject: later\r\n\r\nmore\r\n"


@pytest.fixture
def plugin(served: Served, tmp_path: Path) -> Iterator[str]:
    """An approved plugin that is asked after storing."""
    id_ = approved(served.site, tmp_path, manifest_text(new_id(), "post_receive", permissions=MAY))
    yield id_
    served.here(Plugins).remove(id_)


@pytest.fixture
def message(served: Served, ann: Account) -> Message:
    """A message of Ann's."""
    id_ = served.here(Messages).append(ann.address, BytesIn(chunks=[MAIL])).id
    return served.here(Messages).show(str(int(id_)))


def registered(served: Served, plugin: str) -> Registered:
    """The hook of a plugin, as the chain has it."""
    (found,) = (one for one in served.site.hook_book.enabled() if one.hook.plugin == plugin)
    return found


def handed(served: Served, plugin: str, message: Message) -> Callback:
    """What the plugin is handed with a delivery."""
    with served.site.storage.read() as tx:
        sql = f"SELECT mailbox_id, uid FROM placement WHERE message_id = {int(message.id)}"
        place = tx.exec_driver_sql(sql).one()
    credentials = SiteCredentials(
        served.site.storage, served.site.secrets, served.site.plugin_key, lambda: served.http.url
    )
    found = credentials.callback(
        registered(served, plugin), uuid4().hex, Id(message.id), (place[0], place[1])
    )
    assert found is not None
    return found


def say(callback: Callback, answer: Any, *, token: str = "", url: str = "") -> httpx.Response:
    """One request of the plugin's."""
    headers = {"authorization": f"Bearer {token or callback.token}", "content-type": "application/json"}
    content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    with httpx.Client(trust_env=False, timeout=60) as client:
        return client.post(url or callback.url, content=content, headers=headers)


def test_rule_f3_a_callback_changes_the_message_once(served: Served, plugin: str, message: Message) -> None:
    """Tags, flags, metadata in the plugin's namespace, a move; the second time is a conflict."""
    served.here(Mailboxes).create(message.account, NewMailbox(name="Tickets"))
    callback = handed(served, plugin, message)
    answer = {
        "action": "deliver", "tags": ["ticket"], "flags": ["\\Flagged"], "move_to": "Tickets",
        "metadata": {"number": 7},
    }  # fmt: skip
    done = say(callback, answer)
    assert done.status_code == 200, done.text
    assert (done.json()["moved_to"], done.json()["left_out"]) == ("Tickets", [])
    found = served.here(Messages).show(str(int(message.id)))
    assert (found.mailbox, found.tags, found.flags) == ("Tickets", ("ticket",), ("\\Flagged",))
    assert found.metadata == {f"plugin:{plugin}:number": 7}

    again = say(callback, {"action": "deliver", "tags": ["twice"]})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert served.here(Messages).show(str(int(message.id))).tags == ("ticket",)


def test_rule_f3_one_of_many_at_a_time_is_taken(served: Served, plugin: str, message: Message) -> None:
    """Callbacks of one delivery that come together."""
    callback = handed(served, plugin, message)
    with ThreadPoolExecutor(6) as threads:
        answers = [{"action": "deliver", "tags": [f"t{n}"]} for n in range(6)]
        codes = sorted(one.status_code for one in threads.map(lambda one: say(callback, one), answers))
    assert codes == [200, 409, 409, 409, 409, 409]
    assert len(served.here(Messages).show(str(int(message.id))).tags) == 1


def test_what_the_plugin_may_not_write_is_left_out(served: Served, message: Message, tmp_path: Path) -> None:
    """By what is approved when it calls back."""
    id_ = approved(served.site, tmp_path, manifest_text(new_id(), "post_receive", permissions=MAY))
    callback = handed(served, id_, message)
    link(served.site, tmp_path, manifest_text(id_, "post_receive", permissions="write_tags = true"))
    done = say(callback, {"action": "deliver", "tags": ["a"], "flags": ["\\Seen"], "metadata": {"x": 1}})
    assert done.status_code == 200
    assert len(done.json()["left_out"]) == 2
    found = served.here(Messages).show(str(int(message.id)))
    assert (found.tags, found.flags, found.metadata) == (("a",), (), {})


def test_rule_f2_a_message_that_was_moved_meanwhile_stays(
    served: Served, plugin: str, message: Message
) -> None:
    """The rest applies."""
    for name in ("Mine", "Theirs"):
        served.here(Mailboxes).create(message.account, NewMailbox(name=name))
    callback = handed(served, plugin, message)
    served.here(Messages).change(str(int(message.id)), MessageChange(mailbox="Mine"))
    done = say(callback, {"action": "deliver", "tags": ["t"], "move_to": "Theirs"})
    assert (done.json()["moved_to"], len(done.json()["left_out"])) == (None, 1)
    found = served.here(Messages).show(str(int(message.id)))
    assert (found.mailbox, found.tags) == ("Mine", ("t",))


def test_rule_g3_a_token_is_checked_against_the_present(
    served: Served, plugin: str, message: Message
) -> None:
    """A plugin that is disabled or a hook that is gone says nothing more; what is enabled again does."""
    callback = handed(served, plugin, message)
    hook = registered(served, plugin).hook.name
    answer = {"action": "deliver", "tags": ["t"]}
    for stop, go in (
        (lambda: served.here(Plugins).disable(plugin), lambda: served.here(Plugins).enable(plugin)),
        (lambda: served.here(Hooks).disable(hook), lambda: served.here(Hooks).enable(hook)),
        (
            lambda: served.here(Hooks).edit(hook, HookChange(mode=Mode.SHADOW)),
            lambda: served.here(Hooks).edit(hook, HookChange(mode=Mode.ENFORCE)),
        ),
    ):
        stop()
        assert say(callback, answer).status_code == 403
        go()
    assert say(callback, answer).status_code == 200


def test_a_token_is_for_its_own_delivery(served: Served, plugin: str, message: Message) -> None:
    """And no API key opens this door, nor a plugin's token another one."""
    one, other = handed(served, plugin, message), handed(served, plugin, message)
    answer = {"action": "deliver", "tags": ["t"]}
    before = served.here(Plugins).show(plugin).usage_today.tokens_refused
    assert say(one, answer, token=other.token).status_code == 401
    assert served.here(Plugins).show(plugin).usage_today.tokens_refused == before + 1
    assert say(one, answer, token=served.admin_key).status_code == 401
    refused = say(one, answer, token="x")
    assert (refused.status_code, refused.headers["www-authenticate"][:6]) == (401, "Bearer")
    assert say(one, answer, url=f"{served.http.url}/api/v1/domains").status_code == 401
    with httpx.Client(trust_env=False) as client:
        assert client.post(one.url, json=answer).status_code == 401
    assert served.here(Messages).show(str(int(message.id))).tags == ()


def test_a_key_to_repeat_with_is_refused(served: Served, plugin: str, message: Message) -> None:
    """Rather than ignored: a repeated callback is a conflict, and its sender has to know."""
    one = handed(served, plugin, message)
    bearer = {"authorization": f"Bearer {one.token}", "idempotency-key": "k1"}
    with httpx.Client(trust_env=False, timeout=60) as client:
        for url in (one.url, f"{served.http.url}/api/v1/plugin/metrics"):
            assert client.post(url, json={"action": "deliver"}, headers=bearer).status_code == 400
    assert say(one, {"action": "deliver"}).status_code == 200


def test_what_is_no_answer_uses_nothing_up(served: Served, plugin: str, message: Message) -> None:
    """It can be said again, right."""
    callback = handed(served, plugin, message)
    for wrong in (b"", b"{", b"[]", b'{"action": "explode"}', b'{"tags": ["t"]}', b"\xff"):
        done = say(callback, wrong)
        assert (done.status_code, done.json()["code"]) == (422, "invalid"), wrong
    assert say(callback, b" " * (2 << 20)).status_code == 413
    assert say(callback, {"action": "deliver", "tags": ["t"]}).status_code == 200


def test_a_message_that_is_gone_is_told(served: Served, plugin: str, message: Message) -> None:
    """Nothing is brought back to life."""
    callback = handed(served, plugin, message)
    served.here(Messages).delete(str(int(message.id)), now=True)
    done = say(callback, {"action": "deliver", "tags": ["t"]})
    assert done.status_code == 200
    assert done.json()["left_out"] == ["message is gone"]


def test_only_hooks_after_storing_call_back(served: Served, message: Message, tmp_path: Path) -> None:
    """A decision before storing cannot change its mind; nor where no plugin reaches our API."""
    id_ = approved(served.site, tmp_path, manifest_text(new_id(), "pre_receive", permissions=MAY))
    hook = registered(served, id_)
    for base in (served.http.url, ""):
        credentials = SiteCredentials(
            served.site.storage, served.site.secrets, served.site.plugin_key, base.strip
        )
        assert credentials.callback(hook, "d", Id(message.id), (1, 1)) is None
    served.here(Plugins).remove(id_)


def test_a_plugin_tells_numbers_of_itself(served: Served, plugin: str, message: Message) -> None:
    """The newest of each name is kept, and shown."""
    token, url = handed(served, plugin, message).token, f"{served.http.url}/api/v1/plugin/metrics"
    callback = Callback(url=url, token=token, expires_at=message.received_at)
    assert say(callback, {"metrics": {"asked": 3, "seconds": 0.5}}).json() == {"metrics": 2}
    assert say(callback, {"metrics": {"asked": 4}}).status_code == 200
    assert served.here(Plugins).show(plugin).metrics == {"asked": 4.0, "seconds": 0.5}
    refused: list[Any] = [
        {}, [], {"metrics": {"a b": 1}}, {"metrics": {"a": "1"}}, {"metrics": {"a": True}},
        {"metrics": {"a": 10**400}},
        {"metrics": {}, "more": 1}, b'{"metrics": {"a": NaN}}', {"metrics": {f"m{n}": n for n in range(70)}},
    ]  # fmt: skip
    for wrong in refused:
        assert say(callback, wrong).status_code == 422, wrong
    assert served.here(Plugins).show(plugin).metrics == {"asked": 4.0, "seconds": 0.5}


def test_the_public_key_is_for_everybody(served: Served, tmp_path: Path) -> None:
    """With it a plugin verifies that a call is ours; the secret half lies sealed."""
    id_ = approved(served.site, tmp_path, http_text(new_id()))
    plugin = registered(served, id_).plugin
    credentials = served.site.credentials
    (secret,) = credentials.secrets(plugin)
    assert secret.startswith("mps_")
    token = credentials.call_token(plugin, "d1")
    with httpx.Client(trust_env=False) as client:
        answer = client.get(f"{served.http.url}/api/v1/plugin/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    (key,) = answer.json()["keys"]
    assert jwt.get_unverified_header(token)["kid"] == key["kid"]
    claims = jwt.decode(token, jwt.PyJWK(key), algorithms=["EdDSA"], audience=id_)
    assert claims["scope"] == f"plugin:{id_}:call"
    private = served.site.plugin_key.get().private.private_bytes_raw()
    with served.site.storage.read() as tx:
        stored = tx.exec_driver_sql(f"SELECT ciphertext FROM secret WHERE name = '{NAME}'").scalar_one()
    assert private not in bytes(stored)
    served.here(Plugins).remove(id_)


def test_rule_g2_both_secrets_are_there_during_the_grace_period(served: Served, tmp_path: Path) -> None:
    """The one in force first; the one before until its time is over."""
    id_ = approved(served.site, tmp_path, http_text(new_id()))
    plugin = registered(served, id_).plugin
    (current,) = served.site.credentials.secrets(plugin)
    with served.site.storage.write() as tx:
        served.site.secrets.put(tx, previous_name(id_), b"mps_old", expires_ms=now_ms() + 60_000)
    assert served.site.credentials.secrets(plugin) == [current, "mps_old"]
    with served.site.storage.write() as tx:
        served.site.secrets.put(tx, previous_name(id_), b"mps_old", expires_ms=now_ms() - 1)
    assert served.site.credentials.secrets(plugin) == [current]
    served.here(Plugins).remove(id_)


def test_two_processes_that_need_a_key_get_the_same(served: Served) -> None:
    """The first token of a site may be asked for by all workers at once."""
    name = f"test/{uuid4().hex}"
    keys = [SiteKey(served.site.storage, served.site.secrets, name) for _ in range(4)]
    assert keys[0].find() is None
    with ThreadPoolExecutor(4) as threads:
        found = {key.id for key in threads.map(lambda one: one.get(), keys)}
    assert len(found) == 1
