"""How a site is set up: `Settings`, found, checked, each value with its origin.

    places.py      where the file and the data directory are looked for
    document.py    a file as tables and lines (toml_text.py, yaml_text.py)
    given.py       what file, environment and options give; unknown names refused
    kinds.py       how values are written and checked (resources.py, addresses.py)
    settings.py    every setting, declared once (setting.py; schema.py lists them)
    load.py        all of it together, with the precedence
    effective.py   what `config show` and `export` show; for itself, for it knows what plugins and hooks are
    reference.py   the documentation page, made from the declarations

Nothing here opens a site, asks the network, or imports a library beyond the standard one, unless a YAML
file needs it.
"""

from __future__ import annotations

from mairust_core.config.addresses import ListenAddress
from mairust_core.config.load import load_settings
from mairust_core.config.origin import Origin
from mairust_core.config.settings import Settings

__all__ = ["ListenAddress", "Origin", "Settings", "load_settings"]
