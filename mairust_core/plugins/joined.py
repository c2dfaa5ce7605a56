"""What extensions bring to one site: transports, and plugins that run in this process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, cast

from mairust_core.installed.extensions import Extensions, extensions
from mairust_core.plugins.manifest import Ground

if TYPE_CHECKING:
    from mairust_core.app import Site
    from mairust_core.config import Settings
    from mairust_core.hooks.inprocess import Function
    from mairust_core.hooks.pool import Open
    from mairust_core.model.principal import Principal
    from mairust_core.plugins.inside import Inside


def read_plugins(settings: Settings) -> dict[str, Inside]:
    """The plugins of extensions, by id; what is wrong with one is noted, and it is left out."""
    found = extensions(settings.plugins.extensions)
    if not found.installed:
        return {}
    from mairust_core.hooks.filters import check
    from mairust_core.plugins.inside import read_inside

    return read_inside(found, ground_of(settings, inside=True), check)


def foreign_transport(settings: Settings, name: str) -> Open | None:
    """What opens a way to plugins of a protocol that is not ours, None when nobody knows it."""
    found = extensions(settings.plugins.extensions).first("open_transport", _lacks_call, protocol=name)
    return cast("Open | None", found)


def ground_of(settings: Settings, *, inside: bool = False) -> Ground:
    """What a plugin.toml is judged against on a site; `inside`: it may run in this process."""
    return Ground(
        socket_dir=settings.plugins.socket_dir,
        private_networks=settings.plugins.private_networks,
        inside=inside,
        speaks=lambda name: foreign_transport(settings, name) is not None,
    )


class Joined:
    """The extensions of a site; each is loaded when it is first asked for something."""

    def __init__(self, site: Site) -> None:
        self._site = site

    @property
    def extensions(self) -> Extensions:
        """Those that configuration lets speak."""
        return extensions(self._site.settings.plugins.extensions)

    @cached_property
    def inside(self) -> Mapping[str, Inside]:
        """Their plugins, by id."""
        return read_plugins(self._site.settings)

    def functions(self) -> dict[str, Function]:
        """What answers for these plugins, by id."""
        return {id_: one.answer for id_, one in self.inside.items()}

    def declare(self, by: Principal) -> list[str]:
        """Register these plugins; the ids of those that say something new."""
        from mairust_core.plugins.inside import declare

        site = self._site
        return declare(site.storage, site.ids, by, self.inside.values(), self.extensions)

    def open_transport(self, name: str) -> Open | None:
        """As `foreign_transport`."""
        return foreign_transport(self._site.settings, name)


def _lacks_call(opener: object) -> str:
    return "" if callable(opener) else f"{type(opener).__name__} cannot be called"
