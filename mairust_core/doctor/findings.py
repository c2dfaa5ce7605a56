"""Every finding there is: its level, and its texts from the catalogue (`i18n/findings.LANG.json`)."""

from __future__ import annotations

from collections.abc import Iterable

from mairust_core.errors import MaiRustError
from mairust_core.i18n import explain, finding_text
from mairust_core.model.finding import Examination, Finding, Level

LEVELS: dict[str, Level] = {
    "config.invalid": Level.ERROR,
    "config.no_effect": Level.WARNING,
    "config.readable": Level.WARNING,
    "site.missing": Level.ERROR,
    "data_dir.owner": Level.ERROR,
    "data_dir.read_only": Level.ERROR,
    "data_dir.open": Level.WARNING,
    "admin_token.readable": Level.ERROR,
    "master_key.missing": Level.ERROR,
    "master_key.readable": Level.ERROR,
    "master_key.unusable": Level.ERROR,
    "master_key.unknown": Level.ERROR,
    "master_key.rotation": Level.WARNING,
    "blobs.unreachable": Level.ERROR,
    "blobs.foreign": Level.ERROR,
    "blobs.unreadable": Level.ERROR,
    "blobs.damaged": Level.ERROR,
    "database.unreachable": Level.ERROR,
    "database.file": Level.ERROR,
    "database.not_writable": Level.ERROR,
    "database.damaged": Level.ERROR,
    "database.empty": Level.ERROR,
    "database.old_schema": Level.ERROR,
    "database.newer_schema": Level.ERROR,
    "sqlite.version": Level.WARNING,
    "sqlite.outgrown": Level.WARNING,
    "postgresql.fsync": Level.ERROR,
    "postgresql.full_page_writes": Level.ERROR,
    "postgresql.synchronous_commit": Level.ERROR,
    "postgresql.asynchronous_replica": Level.WARNING,
    "postgresql.connections": Level.WARNING,
    "clock.skew": Level.WARNING,
    "clock.back": Level.WARNING,
    "disk.full": Level.ERROR,
    "disk.low": Level.WARNING,
    "listener.smtp_without_tls": Level.WARNING,
    "listener.lmtp_open": Level.WARNING,
    "listener.http_without_tls": Level.WARNING,
    "certificate.unusable": Level.ERROR,
    "certificate.expired": Level.ERROR,
    "certificate.expires": Level.WARNING,
    "certificate.name": Level.WARNING,
    "certificate.key_readable": Level.ERROR,
    "limits.open_files": Level.WARNING,
    "server.not_running": Level.WARNING,
    "server.other_version": Level.WARNING,
    "python.version": Level.WARNING,
    "domain.none": Level.WARNING,
    "account.none": Level.WARNING,
    "postmaster.fallback": Level.INFO,
    "alias.nowhere": Level.WARNING,
    "collection.late": Level.WARNING,
    "backup.none": Level.WARNING,
    "backup.old": Level.WARNING,
    "backup.incomplete": Level.WARNING,
    "backup.damaged": Level.ERROR,
    "backup.damaged_elsewhere": Level.INFO,
    "search.index": Level.WARNING,
    "search.behind": Level.WARNING,
    "jobs.dead": Level.WARNING,
    "jobs.held": Level.WARNING,
    "jobs.overdue": Level.WARNING,
    "plugins.pending": Level.INFO,
    "plugins.unsigned": Level.WARNING,
    "plugins.blocked": Level.WARNING,
    "plugins.revoked": Level.WARNING,
    "plugins.untrusted": Level.WARNING,
    "plugins.licence_expired": Level.WARNING,
    "plugins.certificate_expired": Level.INFO,
    "plugins.package": Level.ERROR,
    "plugins.cache": Level.ERROR,
    "trust.restored": Level.WARNING,
    "trust.old": Level.WARNING,
    "trust.future": Level.WARNING,
    "plugins.directory": Level.ERROR,
    "plugins.socket_dir": Level.ERROR,
    "plugins.socket_dir_open": Level.ERROR,
    "plugins.secret": Level.ERROR,
    "plugins.unwell": Level.ERROR,
    "plugins.extension": Level.ERROR,
    "hooks.open": Level.WARNING,
    "extension.broken": Level.WARNING,
    "extension.needed": Level.ERROR,
    "extension.hidden": Level.WARNING,
    "extension.installed": Level.INFO,
    "extension.left_out": Level.INFO,
    "sandbox.not_enough": Level.WARNING,
    "sandbox.namespaces": Level.INFO,
    "sandbox.own_user": Level.INFO,
    "sandbox.landlock": Level.INFO,
    "sandbox.seccomp": Level.INFO,
    "sandbox.cgroup": Level.INFO,
    "doctor.check_failed": Level.WARNING,
}
"""By id, in the order of the reference. An id never changes its meaning."""

_ORDER = {Level.ERROR: 0, Level.WARNING: 1, Level.INFO: 2}


class Found:
    """A finding before it is told: its id, and the values of its texts; errors among them are explained."""

    def __init__(self, id_: str, /, **values: object) -> None:
        self.id = id_
        self.level = LEVELS[id_]
        self.values = values

    def __repr__(self) -> str:
        return f"Found({self.id!r}, {self.values!r})"


def explained(found: Iterable[Found], lang: str) -> Examination:
    """The findings in words of a language, the worst first."""
    return Examination(
        findings=tuple(_told(one, lang) for one in sorted(found, key=lambda one: _ORDER[one.level]))
    )


def _told(found: Found, lang: str) -> Finding:
    values = {
        name: explain(one, lang)[0].rstrip(".。") if isinstance(one, MaiRustError) else one
        for name, one in found.values.items()
    }
    what, why, mend = finding_text(found.id, lang, values)
    return Finding(id=found.id, level=found.level, what=what, why=why, mend=mend)
