"""Mail addresses as keys: parsed, folded, never guessed (RFC 5321 §4.1.2, RFC 6531, RFC 5891)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from mairust_core.errors import Invalid

MAX_LOCAL_OCTETS = 64  # RFC 5321 §4.5.3.1.1
MAX_DOMAIN_OCTETS = 253  # RFC 1035 §3.1, without the root label

_PLAIN_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def fold_domain(name: str, field: str = "domain") -> str:
    """The A-label, lower-case form of a domain; raises `Invalid` when it is none (trap S7)."""
    text = name.strip().rstrip(".").lower()
    if not text.isascii():
        text = _to_a_label(text, field)
    if not text or len(text) > MAX_DOMAIN_OCTETS or not all(_LABEL.fullmatch(p) for p in text.split(".")):
        raise Invalid(field, "not_domain", value=repr(name[:80]))
    return text


def _to_a_label(text: str, field: str) -> str:
    import idna

    try:
        return idna.encode(unicodedata.normalize("NFC", text), uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise Invalid(field, "not_domain", value=repr(text[:80])) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One address: `local` as written, `domain` folded. Two addresses meet when their `folded` is equal."""

    local: str
    domain: str

    @classmethod
    def parse(cls, text: str, field: str = "address") -> Address:
        """The address in `local@domain`; raises `Invalid` for anything else (also for source routes)."""
        local, at, domain = text.rpartition("@")
        if not at or not local:
            raise Invalid(field, "not_address", value=repr(text[:80]))
        return cls(local=_plain_local(local, text, field), domain=fold_domain(domain, field))

    @property
    def folded(self) -> str:
        """The key under which the address is found: case and width folded, domain in A-labels."""
        return f"{unicodedata.normalize('NFKC', self.local).casefold()}@{self.domain}"

    @property
    def base(self) -> Address:
        """The address without its `+detail` (rule J4)."""
        return Address(local=self.local.partition("+")[0] or self.local, domain=self.domain)

    def __str__(self) -> str:
        local = self.local
        if not _dot_string(local):
            escaped = local.replace("\\", "\\\\").replace('"', '\\"')
            local = f'"{escaped}"'
        return f"{local}@{self.domain}"


def _dot_string(local: str) -> bool:
    plain = local if not local.isascii() else (_PLAIN_LOCAL.fullmatch(local) and local)
    return bool(plain) and not (local.startswith(".") or local.endswith(".") or ".." in local)


def _plain_local(local: str, whole: str, field: str) -> str:
    if len(local) >= 2 and local[0] == local[-1] == '"':
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    elif not _dot_string(local) or re.search(r'[\s"(),:;<>@\[\]\\]', local):
        raise Invalid(field, "not_address", value=repr(whole[:80]))
    if not local or len(local.encode()) > MAX_LOCAL_OCTETS or _CONTROL.search(local):
        raise Invalid(field, "bad_local_part", value=repr(whole[:80]), limit=MAX_LOCAL_OCTETS)
    return local
