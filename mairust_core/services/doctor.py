"""The examination of a site, over the API too."""

from __future__ import annotations

from mairust_core.i18n import Language
from mairust_core.model.finding import Examination
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.operations import Service, operation


class Doctor(Service):
    """What is wrong, and how to mend it."""

    @operation("GET", "/doctor", scope=Scope.READ, reach=ReachKind.SITE)
    def examine(self, *, lang: Language | str = Language.EN) -> Examination:
        """Examine the site: what is wrong with it, the worst first, each with what mends it.

        Ids of findings are stable; `lang` is the language of the texts, English where another is asked for.
        Reads, and changes nothing.
        """
        return self.site.examine(str(lang))
