"""Extensions, before a server works: loaded, registered, refused if configuration refers to a broken one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mairust_core.api.extended import applications
from mairust_core.app import opened
from mairust_core.installed.offers import read_commands
from mairust_core.installed.points import entry_points
from mairust_core.model.principal import Principal

if TYPE_CHECKING:
    from mairust_core.config import Settings

log = logging.getLogger("mairust.serve")


def join_extensions(settings: Settings, os_user: str) -> None:
    """Load every extension that may speak and register the plugins of theirs that run inside (rule G6).

    It happens before workers are forked: they share what is loaded. Raises `BadConfig` when configuration
    names one that is not there or is broken, or a driver that nobody has.
    """
    if not entry_points() and not settings.plugins.extensions:
        return
    with opened(settings) as site:
        found = site.joined.extensions
        found.speaking()
        site.blobs.free_bytes()
        assert site.engine.name
        site.joined.declare(Principal.local(os_user))
        applications(found)
        read_commands(found)
        found.require()
        if faults := found.faults:
            log.warning("%d faults of extensions were found, mairust doctor tells of them", len(faults))
