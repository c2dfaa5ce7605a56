"""A driver by its name: ours, or that of an extension."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from mairust_core.errors import BadConfig

T = TypeVar("T")


def provided(
    own: Callable[..., T | None],
    port: type[Any],
    wanted: tuple[str, ...] | None,
    setting: str,
    **arguments: object,
) -> T:
    """What one of our drivers is for these arguments, else one of an extension's.

    `own` implements the specification of its name; `port` is what an extension's answer must have; `setting`
    is the key whose value is the first argument. Raises `BadConfig` when nobody has it, and what the driver
    raises.
    """
    made = own(**arguments)
    if made is not None:
        return made
    from mairust_core.config.resources import hide_password
    from mairust_core.installed.extensions import extensions

    found = extensions(wanted)
    made = found.first(own.__name__, lambda one: lacks(port, one), **arguments)
    if made is not None:
        return cast("T", made)
    value = hide_password(str(next(iter(arguments.values()))))
    broken = "; ".join(f"{fault.extension}: {fault.why}" for fault in found.faults)
    if broken:
        raise BadConfig("extension_needed_broken", key=setting, value=value, broken=broken)
    raise BadConfig("extension_needed", key=setting, value=value)


def lacks(port: type[Any], value: object) -> str:
    """What of a port an object does not have, in words; empty when it has everything."""
    names = {name for one in port.__mro__[:-1] for name in (*vars(one), *getattr(one, "__annotations__", ()))}
    missing = sorted(name for name in names if not name.startswith("_") and not hasattr(value, name))
    return f"{type(value).__name__} has no {', '.join(missing)}" if missing else ""
