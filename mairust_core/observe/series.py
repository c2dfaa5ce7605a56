"""Numbers in the text format of Prometheus (version 0.0.4), and those that come from counters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mairust_core.observe.counters import BOUNDS_S, Sums, Times

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]
Sample = tuple[Labels, float]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric; `samples` have its labels and its numbers."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: Sequence[Sample]

    def lines(self) -> Iterator[str]:
        """Its text."""
        yield from _head(self.name, self.kind, self.help)
        yield from (_line(self.name, labels, value) for labels, value in self.samples)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How long something took."""

    name: str
    help: str
    times: Times

    def lines(self) -> Iterator[str]:
        """Its text: buckets that hold those before them, sum and count."""
        yield from _head(self.name, "histogram", self.help)
        for bound, count in zip((*BOUNDS_S, "+Inf"), (*self.times.upto, self.times.count), strict=True):
            yield _line(f"{self.name}_bucket", {"le": str(bound)}, count)
        yield _line(f"{self.name}_sum", {}, self.times.seconds)
        yield _line(f"{self.name}_count", {}, self.times.count)


def text(families: Iterable[Family | Histogram]) -> str:
    """All of them as one document."""
    return "".join(f"{line}\n" for family in families for line in family.lines())


def gauge(name: str, help_: str, value: float) -> Family:
    """One number that rises and falls."""
    return Family(name, "gauge", help_, [({}, value)])


def counted(sums: Sums) -> list[Family | Histogram]:
    """What the workers of a node counted."""
    return [
        gauge("mairust_workers", "Worker processes that are there and not stopping.", sums.workers),
        Family("mairust_connections_open", "gauge", "Connections that are open.", _by_road(sums.open)),
        Family("mairust_connections_total", "counter", "Connections that came.", _by_road(sums.came)),
        Family("mairust_connections_refused_total", "counter",
               "Connections of which there were too many, in all or from one address.",
               _by_road(sums.sent_away)),
        Family("mairust_mails_total", "counter",
               "Answers to mail; by LMTP and deliver each recipient has one.",
               _by(("road", "outcome"), sums.mails)),
        Family("mairust_mail_bytes_total", "counter", "Content of stored mail, once however many have it.",
               _by_road(sums.stored_bytes)),
        Family("mairust_recipients_refused_total", "counter", "Recipients that were not taken.",
               _by(("road", "outcome"), sums.recipients_refused)),
        gauge("mairust_mails_waiting", "Mails that are complete and not answered yet.", sums.waiting),
        Histogram("mairust_mail_seconds", "Time from the end of a mail to its answer.", sums.mail_times),
        Family("mairust_http_requests_total", "counter", "HTTP requests that were answered.",
               _by(("method", "status"), sums.requests)),
        Histogram("mairust_http_request_seconds",
                  "Time from the head of an HTTP request to the end of its answer.", sums.http_times),
    ]  # fmt: skip


def _by_road(numbers: Mapping[str, int]) -> list[Sample]:
    return [({"road": road}, number) for road, number in numbers.items()]


def _by(names: tuple[str, str], numbers: Mapping[tuple[str, str], int]) -> list[Sample]:
    return [(dict(zip(names, values, strict=True)), number) for values, number in numbers.items()]


def _head(name: str, kind: str, help_: str) -> Iterator[str]:
    yield f"# HELP {name} {help_}"
    yield f"# TYPE {name} {kind}"


def _line(name: str, labels: Labels, value: float) -> str:
    pairs = ",".join(f'{label}="{_escaped(told)}"' for label, told in labels.items())
    return f"{name}{{{pairs}}} {value}" if pairs else f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
