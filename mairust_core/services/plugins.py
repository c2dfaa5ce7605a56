"""Operations on plugins; they belong to the site (rule G4)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mairust_core import store
from mairust_core.errors import Conflict, Forbidden, Invalid, Locked, NotFound, TooLarge
from mairust_core.model.forms import DEFAULT_LIMIT, Page, RemovedById
from mairust_core.model.ids import Id
from mairust_core.model.plugin_forms import Approved, Installed, Plugin, Review, Terms
from mairust_core.model.plugin_life import PluginLogLine, RotatedSecret, Rotation
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.observe.faults import crash_point
from mairust_core.operations import BytesIn, Service, operation, require_text
from mairust_core.operations.asked import asking
from mairust_core.services.changes import change, note_before
from mairust_core.services.pages import cut, limited

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

ADMIN, SITE = Scope.ADMIN, ReachKind.SITE
PACKAGE = "application/vnd.mairust.plugin"
ALSO_PACKAGE = ("application/gzip", "application/x-gzip", "application/octet-stream")
"""What other programs call it; whether it is one shows when it is read."""


class Plugins(Service):
    """Code of others that hooks ask: what is registered, and what it may."""

    def link(self, directory: Path) -> Installed:
        """Register an unpacked directory of this machine in place; no operation: a server has no such path.

        Raises `Invalid` naming file, line and key, `Forbidden` without `plugins.allow_unsigned`, `Conflict`
        for a plugin that is blocked.
        """
        self.by.require(ADMIN, SITE)
        require_text([("directory", str(directory))])
        manifest = self.site.read_plugin(directory)
        self.site.check_plugin_directory(directory)
        self.site.plugins.look_for(manifest)
        asked = {"directory": str(directory), "version": manifest.version}
        with asking(asked), change(self, "link", manifest.id) as tx:
            self._note(tx, manifest.id)
            return self.site.plugins.link(tx, self.by, manifest, directory)

    @operation(
        "POST",
        "/plugins",
        scope=ADMIN,
        reach=SITE,
        status=201,
        errors=(Invalid, TooLarge, NotFound, Conflict, Forbidden),
        accepts=(PACKAGE, *ALSO_PACKAGE),
    )
    def install(self, package: BytesIn, *, upgrade: bool = False, allow_downgrade: bool = False) -> Installed:
        """Take in a plugin's package, and have it run or wait for approval.

        It is verified whole, without any network, before anything is written. What the site approved of an
        earlier version holds for a newer one that asks for no more and is signed as that one was; else it is
        `pending`, and the earlier version goes on. `upgrade` takes nothing but another version of a plugin
        that is there, `allow_downgrade` an older version, or another build of the same one, as well.
        """
        terms = Terms(upgrade_only=upgrade, allow_downgrade=allow_downgrade)
        with self.site.installer.arrived(self.by, package, terms) as arrived:
            self.site.installer.keep(self.by, arrived)
            verb = "install" if arrived.signers.is_signed else "install_unsigned"
            content = {"version": arrived.manifest.version, "package": arrived.digest}
            with change(self, verb, arrived.manifest.id, content) as tx:
                self._claim(tx, arrived.manifest.id)
                self._note(tx, arrived.manifest.id)
                return self.site.installer.install(tx, self.by, arrived, terms)

    def _claim(self, tx: Connection, id_: str) -> None:
        """Take the key of a request that may be repeated; raises `Locked` when another one has it."""
        if self.receipt is None:
            return
        if store.idempotency.claim(self.site.storage, tx, [(self.receipt, id_)]) != [True]:
            raise Locked("repeated", retry_after_s=1)

    def made(self, subject: str) -> Installed:
        """What an installation came to, by the plugin's id; raises `NotFound` when it is gone."""
        with self.site.storage.read() as tx:
            found = store.plugins.get(tx, self.by, subject)
            return self.site.installed_plugin(tx, self.by, found)

    @operation("GET", "/plugins", scope=ADMIN, reach=SITE)
    def browse(self, *, cursor: str = "", limit: int = DEFAULT_LIMIT) -> Page[Plugin]:
        """List the plugins by id."""
        with self.site.storage.read() as tx:
            found = store.plugins.page(tx, self.by, cursor, limited(limit) + 1)
            shown = self.site.shown_plugins(tx, self.by, found)
        return cut(shown, limit, lambda last: last.id)

    @operation("GET", "/plugins/{id}", scope=ADMIN, reach=SITE, errors=(NotFound,))
    def show(self, id: str) -> Plugin:
        """Show one plugin: what it is, what it may, and what waits for approval."""
        with self.site.storage.read() as tx:
            return self._shown(tx, id)

    @operation(
        "POST", "/plugins/{id}/approve", scope=ADMIN, reach=SITE, errors=(NotFound, Conflict, Forbidden)
    )
    def approve(self, id: str) -> Approved:
        """Give a plugin what it asks for, register its hooks and have them asked.

        A plugin that is reached by http or a UNIX socket gets a secret, shown this once. Whoever wants to
        approve no more than was reviewed names the review.
        """
        with self._change("approve", id) as tx:
            return self.site.plugins.approve(tx, self.by, id)

    @operation(
        "POST",
        "/plugins/{id}/approve/{review}",
        scope=ADMIN,
        reach=SITE,
        errors=(NotFound, Conflict, Forbidden),
    )
    def approve_review(self, id: str, review: str) -> Approved:
        """Give a plugin what a review said, by its id; nothing if it asks for something else by now.

        `none` is the review of a plugin that waits for nothing.
        """
        with self._change("approve", id) as tx:
            return self.site.plugins.approve(tx, self.by, id, review)

    @operation(
        "POST", "/plugins/{id}/enable", scope=ADMIN, reach=SITE, errors=(NotFound, Conflict, Forbidden)
    )
    def enable(self, id: str) -> Plugin:
        """Have the hooks of an approved plugin asked."""
        with self._change("enable", id) as tx:
            self.site.plugins.enable(tx, self.by, id)
            return self._shown(tx, id)

    @operation("POST", "/plugins/{id}/disable", scope=ADMIN, reach=SITE, errors=(NotFound, Conflict))
    def disable(self, id: str) -> Plugin:
        """Have none of a plugin's hooks asked; mail goes on as if they were not there."""
        with self._change("disable", id) as tx:
            self.site.plugins.disable(tx, self.by, id)
            return self._shown(tx, id)

    @operation(
        "GET",
        "/plugins/{id}/rollback",
        scope=ADMIN,
        reach=SITE,
        errors=(Invalid, NotFound, Conflict, Forbidden),
    )
    def review_rollback(self, id: str, *, to: str = "") -> Review:
        """Show what the package asks for that a rollback leads to, beside what is in force.

        With `to`, a version or a digest, what that one asks for; the review is `none`, without rights, when
        it runs already.
        """
        with self.site.storage.read() as tx:
            return self.site.going_back.look(tx, self.by, id, to)

    @operation(
        "POST",
        "/plugins/{id}/rollback",
        scope=ADMIN,
        reach=SITE,
        errors=(Invalid, NotFound, Conflict, Forbidden),
    )
    def rollback(self, id: str) -> Plugin:
        """Have the package run again that ran before, with the rights it had; what runs now is kept.

        Only an older version is gone back to, so that asking twice does not lead forth again; and only one
        that asks for no more than is in force: else somebody has to read the review and to name it.
        """
        with self._change("rollback", id) as tx:
            self.site.going_back.take(tx, self.by, id, "")
            return self._shown(tx, id)

    @operation(
        "POST",
        "/plugins/{id}/rollback/{to}",
        scope=ADMIN,
        reach=SITE,
        errors=(Invalid, NotFound, Conflict, Forbidden),
    )
    def rollback_to(self, id: str, to: str) -> Plugin:
        """Have the package run again that ran before, if it is this version, has this digest or this review.

        When that runs already, nothing is done. One that asks for more than is in force is named by its
        review.
        """
        with self._change("rollback", id) as tx:
            self.site.going_back.take(tx, self.by, id, to)
            return self._shown(tx, id)

    @operation("POST", "/plugins/{id}/rotate-secret", scope=ADMIN, reach=SITE, errors=(NotFound, Conflict))
    def rotate_secret(self, id: str, wanted: Rotation) -> RotatedSecret:
        """Give a plugin that is reached by http or a UNIX socket a new secret, shown this once.

        Until the grace period is over requests are signed with the one before, too; without one that is dead
        at once. Whatever came before these two is dead in any case.
        """
        with change(self, "rotate_secret", id) as tx:
            rotated = self.site.plugin_secrets.rotate(tx, self.by, id, wanted.grace_s, self.site.ids)
        crash_point("plugin.secret_told")
        return rotated

    @operation("GET", "/plugins/{id}/logs", scope=ADMIN, reach=SITE, errors=(NotFound,))
    def logs(
        self, id: str, *, after: str = "", cursor: str = "", limit: int = DEFAULT_LIMIT
    ) -> Page[PluginLogLine]:
        """List what a plugin wrote on stderr and why calls of it failed, newest first.

        With `after`, the id of a line, those that came after it, the oldest first. The newest thousand are
        kept.
        """
        with self.site.storage.read() as tx:
            if after:
                last = Id.of_cursor(cursor) if cursor else Id.parse(after, "after")
                found = store.plugin_logs.after(tx, self.by, id, last, limited(limit) + 1)
            else:
                found = store.plugin_logs.page(tx, self.by, id, cursor, limited(limit) + 1)
            if not found:
                store.plugins.get(tx, self.by, id)
        return cut(found, limit, lambda last: str(int(last.id)))

    @operation("DELETE", "/plugins/{id}", scope=ADMIN, reach=SITE, errors=(NotFound,))
    def remove(self, id: str, *, purge: bool = False) -> RemovedById:
        """Forget a plugin with its hooks, their settings and its secret; a linked directory stays.

        Its packages go within some hours, with `purge` at once. What it said of mail, tags and metadata,
        belongs to the mail and stays.
        """
        with change(self, "remove", id) as tx:
            self._note(tx, id)
            self.site.plugins.remove(tx, self.by, id)
            archives = store.packages.forget(tx, self.by, id) if purge else []
        self.site.installer.drop(self.by, archives)
        return RemovedById.of(id)

    @contextmanager
    def _change(self, verb: str, id_: str) -> Iterator[Connection]:
        """A change of one plugin that may depend on how well this machine holds it."""
        with self.site.storage.read() as tx:
            self.site.plugins.look(tx, self.by, id_)
        with change(self, verb, id_) as tx:
            self._note(tx, id_)
            yield tx

    def _note(self, tx: Connection, id_: str) -> None:
        """Hold trust and the plugin, and keep for the audit how it stands."""
        store.trust.hold(self.site.storage, tx)
        found = store.plugins.find(tx, self.by, id_, locked=True)
        if found is not None:
            pending = None if found.pending is None else {"version": found.pending.version}
            note_before({"version": found.shown.version, "state": found.state, "pending": pending})

    def _shown(self, tx: Connection, id_: str) -> Plugin:
        return self.site.shown_plugins(tx, self.by, [store.plugins.get(tx, self.by, id_)])[0]
