"""Whom the site of this machine trusts, for commands that work without one as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mairust_cli.session import Session
from mairust_core.errors import MaiRustError, NoSite
from mairust_core.i18n import say

if TYPE_CHECKING:
    from mairust_core.plugins.package import Package
    from mairust_core.store.trust import Trusted


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteTrust:
    """The roots of a site by their ids, and what they took back of a package; `site` is where it lies."""

    site: str
    trusted: Trusted


def site_trust(session: Session, package: Package) -> SiteTrust | None:
    """Whom the local site trusts; None when there is none, or it trusts nobody, or it cannot be asked."""
    from mairust_core.services.trust import Trust

    marks = (package.marketplace, package.developer)
    about = [package.digest, *(mark.key_id for mark in marks if mark is not None)]
    try:
        trusted = session.here(Trust).trusted(about)
    except NoSite:
        return None
    except MaiRustError as error:
        session.output.note(say("verify.site_unknown", session.output.lang, why=error))
        return None
    return SiteTrust(site=str(session.settings().data_dir), trusted=trusted) if trusted.roots else None
