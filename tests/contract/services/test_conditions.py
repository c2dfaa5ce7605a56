"""Changes with `If-Match`, over HTTP, on both databases (RFC 9110 §13.1.1)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from mairust_core.api.conditions import Condition
from mairust_core.api.problems import Fault
from mairust_core.model.account import Account, AccountChange, NewAccount
from mairust_core.model.mailbox import NewMailbox
from mairust_core.model.principal import Scope
from mairust_core.services.accounts import Accounts
from mairust_core.services.mailboxes import Mailboxes
from mairust_core.services.messages import Messages
from tests.contract.services.conftest import Served
from tests.contract.services.test_messages import MAIL, put


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    """Plain HTTP, as the first administrator."""
    headers = {"authorization": f"Bearer {served.admin_key}"}
    with httpx.Client(
        base_url=f"{served.http.url}/api/v1", headers=headers, trust_env=False, timeout=60
    ) as made:
        yield made


def test_a_stale_tag_is_412_and_nothing_is_changed(
    served: Served, client: httpx.Client, ann: Account
) -> None:
    """Whether it is changed or deleted; the answer is a problem and says what to do."""
    id_ = str(int(put(served.here, ann, MAIL).id))
    path = f"/messages/{id_}"
    stale = client.get(path).headers["etag"]
    assert client.patch(path, json={"add_flags": ["\\Seen"]}, headers={"if-match": stale}).status_code == 200
    for given in (stale, f"W/{client.get(path).headers['etag']}", '"x", "y"', '"*"', ',"x",,'):
        headers = {"if-match": given}
        for answer in (
            client.patch(path, json={"add_tags": ["t"]}, headers=headers),
            client.delete(path, headers=headers),
            client.delete(f"{path}?now=true", headers=headers),
        ):
            assert (answer.status_code, answer.json()["code"]) == (412, "conflict"), given
            assert answer.headers["content-type"] == "application/problem+json"
    shown = served.here(Messages).show(id_)
    assert (shown.tags, shown.deleted_at) == ((), None)


def test_a_tag_that_fits_lets_the_change_through(served: Served, client: httpx.Client, ann: Account) -> None:
    """Alone, among others, in a second line, or `*`; of whatever can be shown."""
    path = f"/messages/{int(put(served.here, ann, MAIL).id)}"
    for number, form in enumerate(("{}", '"x", {}', '{}, W/"y"', "*")):
        given = form.format(client.get(path).headers["etag"])
        answer = client.patch(path, json={"add_tags": [f"t{number}"]}, headers={"if-match": given})
        assert answer.status_code == 200, answer.text
    two = [("if-match", '"x"'), ("if-match", client.get(path).headers["etag"])]
    assert client.delete(path, headers=two).status_code == 200
    domain = f"/domains/{ann.address.partition('@')[2]}"
    tag = client.get(domain).headers["etag"]
    served.here(Accounts).remove(ann.address)
    assert client.delete(domain, headers={"if-match": tag}).status_code == 412


def test_what_names_no_tags_is_400(served: Served, client: httpx.Client, ann: Account) -> None:
    """Nobody meant that nothing fits; and nothing is changed."""
    path = f"/messages/{int(put(served.here, ann, MAIL).id)}"
    tag = client.get(path).headers["etag"]
    for given in (
        "",
        ",",
        " , ,",
        "unquoted",
        tag.strip('"'),
        f"{tag} {tag}",
        f"{tag}, *",
        "*, *",
        '"',
        "w/" + tag,
    ):
        answer = client.patch(path, json={"add_tags": ["t"]}, headers={"if-match": given.strip()})
        assert (answer.status_code, answer.json()["code"]) == (400, "usage"), given
        assert "If-Match" in answer.json()["detail"]
    assert client.get(path).headers["etag"] == tag


def test_a_long_list_is_read_to_its_end(served: Served, client: httpx.Client, ann: Account) -> None:
    """The last of many tags counts as the first does; a comma within one divides nothing."""
    path = f"/messages/{int(put(served.here, ann, MAIL).id)}"
    many = ", ".join(f'"{number:032},"' for number in range(200))
    answer = client.patch(
        path, json={"add_tags": ["t"]}, headers={"if-match": f"{many}, {client.get(path).headers['etag']}"}
    )
    assert answer.status_code == 200, answer.text
    divided = client.get(path).headers["etag"].join(('"a,', ',b"'))
    assert client.delete(path, headers={"if-match": divided}).status_code == 400


def test_a_list_s_tag_counts_where_the_list_is_what_is_shown(
    served: Served, client: httpx.Client, ann: Account
) -> None:
    """Mailboxes are renamed under the path of their list; with several transactions it is compared once."""
    path = f"/accounts/{ann.address}/mailboxes"
    served.here(Mailboxes).create(ann.address, NewMailbox(name="Old"))
    tag = client.get(path).headers["etag"]
    renamed = client.patch(path, json={"name": "Old", "to": "New"}, headers={"if-match": tag})
    assert renamed.status_code == 200, renamed.text
    assert client.delete(path, headers={"if-match": tag}, params={"name": "New"}).status_code == 412
    tag = client.get(path).headers["etag"]
    assert client.delete(path, headers={"if-match": tag}, params={"name": "New"}).status_code == 200


def test_what_is_not_there_is_404_and_what_has_no_tag_fits_none(
    served: Served, client: httpx.Client, domain: str
) -> None:
    """A condition is for what could be done without it; `*` fits whatever is there."""
    assert client.delete(f"/accounts/no@{domain}", headers={"if-match": "*"}).status_code == 404
    key = served.issue(Scope.READ).split("_")[1]
    assert client.delete(f"/tokens/{key}", headers={"if-match": '"x"'}).status_code == 412
    assert client.delete(f"/tokens/{key}", headers={"if-match": "*"}).status_code == 200


def test_whoever_compares_has_to_be_allowed_to_read(
    served: Served, client: httpx.Client, ann: Account
) -> None:
    """Otherwise a key could find out by guessing; and what a page of a list showed fits nothing."""
    path = f"/accounts/{ann.address}/mailboxes"
    served.here(Mailboxes).create(ann.address, NewMailbox(name="Old"))
    page, whole = (client.get(path, params=p).headers["etag"] for p in ({"limit": 1}, {}))
    writer = {"authorization": f"Bearer {served.issue(Scope.WRITE)}"}
    change = {"name": "Old", "to": "New"}
    assert client.patch(path, json=change, headers={"if-match": whole} | writer).status_code == 403
    assert client.patch(path, json=change, headers={"if-match": page}).status_code == 412
    assert client.patch(path, json=change, headers={"if-match": whole}).status_code == 200


def test_of_two_that_saw_the_same_one_is_refused(served: Served, client: httpx.Client, domain: str) -> None:
    """However close they come: no change is lost."""
    for number in range(6):
        who = served.here(Accounts).add(NewAccount(address=f"w{number}@{domain}")).address
        tag = client.get(f"/accounts/{who}").headers["etag"]

        def edit(quota: int, who: str = who, tag: str = tag) -> int:
            answer = client.patch(f"/accounts/{who}", json={"quota_bytes": quota}, headers={"if-match": tag})
            return answer.status_code

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(edit, range(1, 5))) == [200, 412, 412, 412]


def test_the_comparison_is_part_of_the_change(served: Served, client: httpx.Client, ann: Account) -> None:
    """What others changed after the first look is seen by the second, which the change begins with."""
    tag = client.get(f"/accounts/{ann.address}").headers["etag"]
    service, edit = served.here(Accounts), Accounts.operations["edit"]

    def meanwhile() -> Account:
        served.here(Accounts).edit(ann.address, AccountChange(quota_bytes=7))
        return service.edit(ann.address, AccountChange(admin=True))

    with pytest.raises(Fault) as refused:
        Condition(served.site, service, edit, frozenset({tag}), [ann.address]).run(meanwhile)
    assert refused.value.status == 412
    shown = served.here(Accounts).show(ann.address)
    assert (shown.quota_bytes, shown.admin) == (7, False)
