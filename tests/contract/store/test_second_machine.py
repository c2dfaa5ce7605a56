"""Machines that share a database: each finds the blobs and the master key, or says what is missing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mairust_core.app import opened
from mairust_core.config import Settings, load_settings
from mairust_core.errors import BadConfig
from mairust_core.first_run import create_site


def other_machine(first: Settings, data_dir: Path, blobs: Path | None = None) -> Settings:
    """The settings of a machine with a data directory of its own."""
    overrides = {"database.url": first.database.url, "blobs.path": blobs}
    return load_settings(data_dir=data_dir, env={}, overrides=overrides)


def test_rule_c2_a_second_machine_begins_no_blobs_of_its_own(site_settings: Settings, tmp_path: Path) -> None:
    """Also before any mail came: neither machine could read what the other stores."""
    create_site(site_settings, "tester")
    second = other_machine(site_settings, tmp_path / "second")
    with pytest.raises(BadConfig, match="keeps its blobs elsewhere"):
        create_site(second, "tester")
    assert not (second.blobs.path / "owner").exists()
    assert not second.secrets.master_key_file.exists()
    shared = other_machine(site_settings, tmp_path / "second", site_settings.blobs.path)
    assert not create_site(shared, "tester").created
    create_site(site_settings, "tester")


def test_rule_c2_a_directory_that_was_changed_before_any_mail_is_taken_by_hand(
    site_settings: Settings, tmp_path: Path
) -> None:
    """The error names the command."""
    create_site(site_settings, "tester")
    moved = other_machine(site_settings, site_settings.data_dir, tmp_path / "moved")
    with pytest.raises(BadConfig) as refused:
        create_site(moved, "tester")
    command = str(refused.value).partition("came: ")[2]
    assert command.startswith("mkdir -p ")
    subprocess.run(command, shell=True, check=True)
    create_site(moved, "tester")


def test_no_master_key_is_made_beside_the_one_in_force(site_settings: Settings, tmp_path: Path) -> None:
    """A new one would open nothing, and `doctor` would not say any more that the file is missing."""
    create_site(site_settings, "tester")
    with opened(site_settings) as site, site.storage.write() as tx:
        site.secrets.put(tx, "plugin/com.example.one", b"secret")
    key = site_settings.secrets.master_key_file
    was = key.rename(tmp_path / "kept")
    create_site(site_settings, "tester")
    assert not key.exists()
    with opened(site_settings) as site, site.storage.read() as tx:
        with pytest.raises(BadConfig, match=str(key)):
            site.secrets.get(tx, "plugin/com.example.one")
        was.rename(key)
        assert site.secrets.get(tx, "plugin/com.example.one") == b"secret"
