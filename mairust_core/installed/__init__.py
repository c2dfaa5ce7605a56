"""Which extensions are installed here, what they offer, and what is wrong with them (rule G6).

Nothing is read before somebody asks: entry points (`points`) by `serve`, by `--help`, and for a name that is
none of ours; modules when they are asked for something (`extensions`): a driver (`drivers`), or commands and
routers (`offers`). One that is broken never breaks another: its failure is kept as a `Fault`, and it is
passed over.
"""

from mairust_core.installed.drivers import provided as provided
from mairust_core.installed.extensions import Extensions as Extensions
from mairust_core.installed.extensions import extensions as extensions
from mairust_core.installed.offers import OfferedCommand as OfferedCommand
from mairust_core.installed.offers import read_commands as read_commands
from mairust_core.installed.offers import read_routers as read_routers
from mairust_core.installed.points import NAME as NAME
from mairust_core.installed.points import Extension as Extension
from mairust_core.installed.points import Fault as Fault
from mairust_core.installed.points import FaultKind as FaultKind
from mairust_core.installed.points import entry_points as entry_points
