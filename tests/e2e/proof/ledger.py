"""What every client was told, mail by mail and recipient by recipient."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from mairust_core.errors import OutcomeUnknown
from tests.support.mailbox_client import Answer


class Told(Enum):
    """What the sender knows of one recipient's copy."""

    STORED = "stored"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """Refused for now, because COMMIT was sent and its outcome not learnt (rule C4): as with NOTHING."""
    NOTHING = "nothing"
    """The connection ended before an answer: it may be there once, or not at all."""

    @classmethod
    def of(cls, answer: Answer) -> Told:
        """What an answer says."""
        if answer.code == 250:
            return cls.STORED
        return cls.UNKNOWN if str(OutcomeUnknown.reply) == f"{answer.code} {answer.text}" else cls.REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail, sent once; `token` is in its first line and in no other mail."""

    token: str
    recipients: tuple[str, ...]
    content: bytes


@dataclass(slots=True)
class Entry:
    """A mail and what its sender was told."""

    mail: Mail
    told: dict[str, Told]
    ids: dict[str, str] = field(default_factory=dict)
    """The message ids that the answers named, by recipient."""
    sha256: bytes = b""


class Ledger:
    """All entries of a test. Thread-safe."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._answers: Counter[str] = Counter()
        self._changed = threading.Condition(threading.RLock())

    def begin(self, mail: Mail) -> None:
        """A mail is about to be sent."""
        digest = hashlib.sha256(mail.content).digest()
        entry = Entry(mail, dict.fromkeys(mail.recipients, Told.NOTHING), sha256=digest)
        with self._changed:
            assert mail.token not in self._entries
            self._entries[mail.token] = entry

    def settle(self, mail: Mail, answers: Mapping[str, Answer]) -> None:
        """Answers came, for some recipients at least."""
        with self._changed:
            entry = self._entries[mail.token]
            for recipient, answer in answers.items():
                entry.told[recipient] = Told.of(answer)
                self._answers[f"{answer.code} {answer.text.partition(' ')[0]}"] += 1
                if entry.told[recipient] is Told.STORED:
                    entry.ids[recipient] = answer.stored_id
            self._changed.notify_all()

    def entries(self) -> list[Entry]:
        """In the order of sending."""
        with self._changed:
            return list(self._entries.values())

    @property
    def acknowledged(self) -> int:
        """How many mails have a recipient whose copy was acknowledged."""
        return sum(Told.STORED in entry.told.values() for entry in self.entries())

    @property
    def answers(self) -> Counter[str]:
        """How often each answer came, by reply code and enhanced status code, for each recipient."""
        with self._changed:
            return self._answers.copy()

    def wait_for(self, count: int, timeout_s: float = 60.0) -> None:
        """Wait until that many mails are acknowledged; an AssertionError when they do not come."""
        with self._changed:
            enough = self._changed.wait_for(lambda: self.acknowledged >= count, timeout_s)
        assert enough, f"{self.acknowledged} of {count} mails acknowledged; answers {dict(self.answers)}"

    def wait_for_answer(self, answer: str, more: int, timeout_s: float = 60.0) -> None:
        """Wait until `more` further recipients were answered so ("451 4.3.0")."""
        wanted = self.answers[answer] + more
        with self._changed:
            enough = self._changed.wait_for(lambda: self.answers[answer] >= wanted, timeout_s)
        assert enough, f"{answer} did not come; answers {dict(self.answers)}"


def only_temporary_refusals(ledger: Ledger) -> bool:
    """Whether every refusal, but that of recipients that do not exist, is a 4xx."""
    return {answer[0] for answer in ledger.answers if answer != "550 5.1.1"} <= {"2", "4"}
