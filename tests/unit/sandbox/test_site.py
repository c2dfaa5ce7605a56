"""The sandbox of a site, from its settings."""

from __future__ import annotations

from pathlib import Path

from mairust_core.config import load_settings
from mairust_core.sandbox.reach import Site
from mairust_core.sandbox.site import confinement_of


def test_all_that_belongs_to_a_site_is_hidden(tmp_path: Path) -> None:
    """Wherever its settings put it; and `plugins.sandbox` is heard."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/mairust.toml").write_text('[plugins]\nsandbox = "off"\n')
    overrides = {"database.url": f"sqlite:///{tmp_path}/db/mail.db", "blobs.path": str(tmp_path / "blobs")}
    for name in ("smtp", "http"):
        overrides |= {f"{name}.tls_{one}": str(tmp_path / f"{name}.{one}") for one in ("cert", "key")}
    settings = load_settings(data_dir=tmp_path / "site", env={}, overrides=overrides)
    made = confinement_of(settings, Site())
    here = {str(path.relative_to(tmp_path)) for path in made.hidden}
    assert here == {
        *("site", "blobs", "site/master.key", "site/mairust.toml"),
        *("smtp.key", "http.key"),
        *("db/mail.db", "db/mail.db-wal", "db/mail.db-shm"),
    }
    assert not made.is_required
    assert confinement_of(load_settings(data_dir=tmp_path / "other", env={}), Site()).is_required
