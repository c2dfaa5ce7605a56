"""The extensions of this process: loaded when they are asked for something, each on its own (rule G6)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from mairust_core.errors import BadConfig, MaiRustError
from mairust_core.installed.faults import Extension, Fault, FaultKind, canonical, identity
from mairust_core.installed.points import GROUP, entry_points

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from pluggy import PluginManager

T = TypeVar("T")

log = logging.getLogger("mairust.extensions")


@cache
def extensions(wanted: tuple[str, ...] | None) -> Extensions:
    """The extensions of this process, those of the distributions `wanted` or, with None, all of them."""
    return Extensions(wanted)


class Extensions:
    """Extensions that may speak. Thread-safe."""

    def __init__(
        self, wanted: Sequence[str] | None = None, points: Callable[[], Sequence[EntryPoint]] = entry_points
    ) -> None:
        """`wanted` narrows to these distributions; `points` are the entry points there are."""
        self._wanted = None if wanted is None else frozenset(map(canonical, wanted))
        self._read = points
        self._lock = threading.RLock()
        self._speaking: dict[str, Extension] = {}
        self._faults: dict[Fault, None] = {}

    @cached_property
    def installed(self) -> tuple[Extension, ...]:
        """Every one there is, also those that configuration leaves out."""
        return tuple(map(identity, self._points))

    @cached_property
    def _points(self) -> list[EntryPoint]:
        """In the order in which they are asked."""
        return sorted(self._read(), key=lambda one: (identity(one).distribution, one.name))

    def is_wanted(self, extension: Extension) -> bool:
        """Whether configuration lets it speak."""
        return self._wanted is None or extension.distribution in self._wanted

    @property
    def absent(self) -> list[str]:
        """The distributions that configuration names and that are not installed, or are no extensions."""
        return sorted((self._wanted or frozenset()) - {one.distribution for one in self.installed})

    @property
    def faults(self) -> list[Fault]:
        """What has been found wrong so far."""
        with self._lock:
            return list(self._faults)

    def note(self, extension: Extension, kind: FaultKind, why: object) -> None:
        """Remember what is wrong with one, and log it once: a server says so, a command does not."""
        shown = f"{type(why).__name__}: {why}".rstrip(": ") if isinstance(why, BaseException) else str(why)
        fault = Fault(extension=extension, kind=kind, why=" ".join(shown.split())[:500])
        with self._lock:
            if fault in self._faults:
                return
            self._faults[fault] = None
        log.info("extension %s (%s): %s", extension, fault.kind.value, fault.why)

    def speaking(self) -> list[Extension]:
        """Those that were loaded and are sound, in the order in which they are asked."""
        manager = self._manager
        return [one for one in self.installed if manager.has_plugin(_key(one))]

    def implements(self, extension: Extension) -> list[str]:
        """The specifications that one of them implements."""
        callers = self._manager.get_hookcallers(self._manager.get_plugin(_key(extension))) or []
        return sorted(caller.name for caller in callers)

    def first(self, specification: str, fits: Callable[[Any], str], **arguments: object) -> Any:
        """The first answer of any that is one; None when there is none.

        `fits` says what an answer lacks, empty when it is as it should be. Errors of ours that an extension
        raises are its answer.
        """
        for extension, function in self._asked(specification, arguments):
            try:
                found = function()
            except MaiRustError:
                raise
            except (Exception, SystemExit) as error:
                self.note(extension, FaultKind.CALL, error)
                continue
            if found is None:
                continue
            if lack := fits(found):
                self.note(extension, FaultKind.ANSWER, f"{specification}: {lack}")
                continue
            return found
        return None

    def each(self, specification: str) -> Iterator[tuple[Extension, Any]]:
        """Every answer, with who gave it."""
        for extension, function in self._asked(specification, {}):
            try:
                found = function()
            except (Exception, SystemExit) as error:
                self.note(extension, FaultKind.CALL, error)
                continue
            yield extension, found

    def each_of(self, specification: str, kind: type[T]) -> Iterator[tuple[Extension, T]]:
        """Every item of the answers that is of a kind, with whose it is."""
        for extension, found in self.each(specification):
            try:
                items = list(found)
            except Exception as error:
                self.note(extension, FaultKind.ANSWER, f"{specification}: {type(error).__name__}: {error}")
                continue
            for item in items:
                if isinstance(item, kind):
                    yield extension, item
                else:
                    why = f"{specification}: {type(item).__name__} is no {kind.__name__}"
                    self.note(extension, FaultKind.ANSWER, why)

    def require(self) -> None:
        """Raise `BadConfig` when one that configuration names is not there, or was found broken (rule G6).

        One whose names are all taken is sound.
        """
        if absent := self.absent:
            raise BadConfig("extension_absent", names=", ".join(absent))
        if self._wanted is None:
            return
        for fault in self.faults:
            if fault.kind is not FaultKind.TAKEN and fault.extension.distribution in self._wanted:
                raise BadConfig("extension_broken", extension=fault.extension, why=fault.why)

    def _asked(
        self, specification: str, arguments: dict[str, object]
    ) -> Iterator[tuple[Extension, Callable[[], Any]]]:
        if not self._points:
            return  # and pluggy is not loaded
        caller = getattr(self._manager.hook, specification)
        for one in reversed(caller.get_hookimpls()):
            given = [arguments[name] for name in one.argnames]
            yield self._speaking[one.plugin_name], partial(one.function, *given)

    @cached_property
    def _manager(self) -> PluginManager:
        """Everything wanted, loaded; the one that is asked first is registered last, as pluggy goes."""
        import pluggy

        from mairust_core import extend

        with self._lock:
            manager = pluggy.PluginManager(GROUP)
            manager.add_hookspecs(extend)
            for point in reversed(self._points):
                extension = identity(point)
                if self.is_wanted(extension):
                    self._join(manager, point, extension)
            return manager

    def _join(self, manager: PluginManager, point: EntryPoint, extension: Extension) -> None:
        try:
            plugin = point.load()
        except (Exception, SystemExit) as error:
            missing = isinstance(error, ModuleNotFoundError) and _names(point, error.name or "")
            self.note(extension, FaultKind.MISSING if missing else FaultKind.IMPORT, error)
            return
        try:
            if lack := _misfit(plugin):
                raise ValueError(lack)
            manager.register(plugin, _key(extension))
        except Exception as error:
            self.note(extension, FaultKind.INVALID, str(error))
            return
        self._speaking[_key(extension)] = extension


def _key(extension: Extension) -> str:
    return f"{extension.distribution}/{extension.name}"


def _names(point: EntryPoint, module: str) -> bool:
    """Whether a module is the one that the entry point names, or a package around it."""
    return f"{point.module}.".startswith(f"{module}.")


def _misfit(plugin: Any) -> str:
    """What keeps an object from being an extension; raises pluggy's own errors for wrong parameters."""
    import pluggy

    from mairust_core import extend

    trial = pluggy.PluginManager(GROUP)
    trial.add_hookspecs(extend)
    trial.register(plugin)
    trial.check_pending()
    callers = trial.get_hookcallers(plugin) or []
    if not callers:
        return "it implements none of the specifications"
    if any(one.hookwrapper or one.wrapper for caller in callers for one in caller.get_hookimpls()):
        return "wrappers are not supported"
    return ""
