"""Operations on hooks; they belong to the site (rule G4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mairust_core import store
from mairust_core.errors import Conflict, NotFound
from mairust_core.model.address import Address
from mairust_core.model.breaker import CLOSED
from mairust_core.model.forms import DEFAULT_LIMIT, Page, Removed
from mairust_core.model.hook import HookType
from mairust_core.model.hook_forms import (
    HookCall,
    HookChange,
    NewHook,
    Outcome,
    ShownHook,
    require_fitting,
)
from mairust_core.model.message_change import MessageFilter
from mairust_core.model.moment import at_or_none
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.model.trial import Replay, Replayed, TrialEnvelope, Tried
from mairust_core.operations import BytesIn, Service, operation
from mairust_core.services.changes import change, note_before, noted
from mairust_core.services.pages import cut, limited

if TYPE_CHECKING:
    from sqlalchemy import Connection

ADMIN, SITE = Scope.ADMIN, ReachKind.SITE
_ONE = "/hooks/{name}"


class Hooks(Service):
    """Where plugins are asked about mail, and what counts when they do not answer."""

    @operation("POST", "/hooks", scope=ADMIN, reach=SITE, status=201, errors=(Conflict, NotFound))
    def add(self, new: NewHook) -> ShownHook:
        """Add a hook of a registered plugin, beside those that the plugin declares.

        A declared hook that was removed comes back by its name, as its plugin declares it but for what is
        given here.
        """
        self.site.check_hook_name(new.name, new.plugin)
        if new.filter is not None:
            self.site.check_filter(new.filter)
        with change(self, "add", new.name) as tx:
            store.plugins.get(tx, self.by, new.plugin)
            store.breakers.reset(tx, [new.name])
            return store.hooks.bring_back(tx, self.by, new) or store.hooks.add(tx, self.by, new)

    @operation("GET", "/hooks", scope=ADMIN, reach=SITE)
    def browse(self, *, plugin: str = "", cursor: str = "", limit: int = DEFAULT_LIMIT) -> Page[ShownHook]:
        """List the hooks by name, of one plugin if it is given."""
        with self.site.storage.read() as tx:
            found = store.hooks.page(tx, self.by, plugin, cursor, limited(limit) + 1)
            shown = self._with_breakers(tx, found)
        return cut(shown, limit, lambda last: last.name)

    @operation("GET", _ONE, scope=ADMIN, reach=SITE, errors=(NotFound,))
    def show(self, name: str) -> ShownHook:
        """Show one hook as it is in force."""
        with self.site.storage.read() as tx:
            return self._with_breakers(tx, [store.hooks.get(tx, self.by, name)])[0]

    @operation("PATCH", _ONE, scope=ADMIN, reach=SITE, errors=(NotFound,))
    def edit(self, name: str, wanted: HookChange) -> ShownHook:
        """Set some of a hook, or take back what was set; what is set survives upgrades of its plugin."""
        given = wanted.given()
        if given.get("filter") is not None:
            self.site.check_filter(given["filter"])
            given["filter"] = given["filter"].filter()
        with change(self, "edit", name) as tx:
            found = store.hooks.get(tx, self.by, name, locked=True)
            require_fitting(found.type, given.get("timeout_ms"))
            note_before(found)
            return store.hooks.edit(tx, self.by, name, given)

    @operation("POST", f"{_ONE}/enable", scope=ADMIN, reach=SITE, errors=(NotFound,))
    def enable(self, name: str) -> ShownHook:
        """Have a hook asked, if its plugin is enabled."""
        with change(self, "enable", name) as tx:
            note_before(store.hooks.get(tx, self.by, name, locked=True), "enabled")
            return store.hooks.set_enabled(tx, self.by, name, True)

    @operation("POST", f"{_ONE}/disable", scope=ADMIN, reach=SITE, errors=(NotFound,))
    def disable(self, name: str) -> ShownHook:
        """Have a hook not asked any more; mail goes on as if it were not there."""
        with change(self, "disable", name) as tx:
            note_before(store.hooks.get(tx, self.by, name, locked=True), "enabled")
            return store.hooks.set_enabled(tx, self.by, name, False)

    @operation("DELETE", _ONE, scope=ADMIN, reach=SITE, errors=(NotFound,))
    def remove(self, name: str) -> Removed:
        """Remove a hook; one that its plugin declares stays away when the plugin is upgraded."""
        with change(self, "remove", name) as tx:
            note_before(store.hooks.get(tx, self.by, name, locked=True))
            store.hooks.remove(tx, self.by, name)
            store.breakers.reset(tx, [name])
        return Removed(name=name)

    @operation("POST", f"{_ONE}/reset", scope=ADMIN, reach=SITE, errors=(NotFound,))
    def reset(self, name: str) -> ShownHook:
        """Have a hook called again whose breaker is open, at once; harmless when it is closed."""
        with change(self, "reset", name) as tx:
            found = store.hooks.get(tx, self.by, name)
            note_before(self._with_breakers(tx, [found])[0], "breaker")
            store.breakers.reset(tx, [name])
        return found

    @operation("GET", f"{_ONE}/log", scope=ADMIN, reach=SITE, errors=(NotFound,))
    def log(
        self, name: str, *, outcome: Outcome | None = None, cursor: str = "", limit: int = DEFAULT_LIMIT
    ) -> Page[HookCall]:
        """List the calls of a hook, newest first, those with one outcome or with any."""
        with self.site.storage.read() as tx:
            found = store.hook_calls.page(tx, self.by, name, outcome, cursor, limited(limit) + 1)
            if not found:
                store.hooks.get(tx, self.by, name)
        return cut(found, limit, lambda last: str(int(last.id)))

    @operation("POST", f"{_ONE}/test", scope=ADMIN, reach=SITE, errors=(NotFound, Conflict))
    def test(
        self,
        name: str,
        message: BytesIn,
        *,
        type: HookType | None = None,
        mail_from: str = "",
        rcpt_to: tuple[str, ...] = (),
    ) -> Tried:
        """Ask a hook about a mail and tell each step; nothing is stored.

        `name` is that of a hook, or the id of a plugin: then all of its hooks of the type are asked, or of
        every type. A hook is asked although it is disabled, or its plugin is.
        """
        for field, given in (("mail_from", (mail_from,) if mail_from else ()), ("rcpt_to", rcpt_to)):
            for one in given:
                Address.parse(one, field)
        hooks = self._tried(name, type)
        plugins = {one: self.site.runnable(self.by, one) for one in {hook.plugin for hook in hooks}}
        asked = [(hook.hook(), plugins[hook.plugin]) for hook in hooks]
        return self.site.trial.test(asked, message, TrialEnvelope(mail_from=mail_from, rcpt_to=rcpt_to))

    @operation("POST", f"{_ONE}/replay", scope=ADMIN, reach=SITE, errors=(NotFound, Conflict))
    def replay(self, name: str, wanted: Replay) -> Page[Replayed]:
        """Ask a hook about an account's stored mail, newest first, and tell what it would have changed.

        A page may end before `limit` when its time is over. The audit says whose mail was shown to which
        hook, and the trace of each mail what of it.
        """
        Address.parse(wanted.account, "account")
        with self.site.storage.read() as tx:
            hook = store.hooks.get(tx, self.by, name)
            account = store.accounts.get(tx, self.by, wanted.account)
            sought = MessageFilter(since=at_or_none(wanted.since, "since"))
            asked = store.listing.Wanted(account_id=account.id, mailbox_id=None, filter=sought)
            found = store.listing.page(tx, self.by, asked, wanted.cursor, wanted.limit)
        plugin = self.site.runnable(self.by, hook.plugin)
        noted(self, "replay", f"{hook.name} {account.address}")
        return self.site.trial.replay(hook.hook(), plugin, account.id, found)

    def _tried(self, name: str, type_: HookType | None) -> Sequence[ShownHook]:
        with self.site.storage.read() as tx:
            found = self._named(tx, name)
        fitting = [hook for hook in found if type_ is None or hook.type is type_]
        if not fitting:
            raise NotFound("hook_of_type", name=name[:200], type=type_ or "*")
        return sorted(fitting, key=lambda hook: (hook.priority, hook.name))

    def _named(self, tx: Connection, name: str) -> list[ShownHook]:
        """The hook of this name, or the hooks of the plugin with this id."""
        if store.plugins.find(tx, self.by, name) is None:
            return [store.hooks.get(tx, self.by, name)]
        return store.hooks.page(tx, self.by, name, "", MAX_TRIED)

    def _with_breakers(self, tx: Connection, found: Sequence[ShownHook]) -> list[ShownHook]:
        now_ms = self.site.storage.now_ms(tx)
        known = store.breakers.states(tx, [one.name for one in found])
        return [replace(one, breaker=known.get(one.name, CLOSED).state(now_ms)) for one in found]


MAX_TRIED = 100
