"""The sandbox of local plugins: each layer that this machine does not give, and what that means."""

from __future__ import annotations

from collections.abc import Iterator

from mairust_core.doctor.findings import Found
from mairust_core.model.isolation import Isolation, Layer, MissingLayer


def judged_isolation(isolation: Isolation) -> Iterator[Found]:
    """What is missing, for a site with local plugins; all of it in one when it is not enough (rule H1)."""
    if not isolation.is_enough:
        missing = "; ".join(f"{one.layer}: {one.why}" for one in isolation.missing)
        yield Found("sandbox.not_enough", missing=missing)
        return
    for one in isolation.missing:
        yield from _judged(one)


def _judged(missing: MissingLayer) -> Iterator[Found]:
    match missing.layer:
        case Layer.NAMESPACES:
            yield Found("sandbox.namespaces", why=missing.why)
        case Layer.OWN_USER:
            yield Found("sandbox.own_user", why=missing.why)
        case Layer.LANDLOCK:
            yield Found("sandbox.landlock", why=missing.why)
        case Layer.SECCOMP:
            yield Found("sandbox.seccomp", why=missing.why)
        case Layer.CGROUP:
            yield Found("sandbox.cgroup", why=missing.why)
        case Layer.RLIMITS:
            pass  # without them nothing runs, and `not_enough` says so
