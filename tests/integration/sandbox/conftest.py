"""Machines to run plugins on: with all the layers there are, and with fewer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import uvloop

from mairust_core.model.isolation import Layer
from mairust_core.model.plugin import Layers
from mairust_core.sandbox.machine import Machine, look
from mairust_core.sandbox.probing import probe, tried
from tests.support.plugins import Plugin, make_plugin

Make = Callable[..., Plugin]

FEWER = {
    "all-layers": (),
    "as-a-user": (Layer.OWN_USER, Layer.CGROUP),
    "no-namespaces": (Layer.NAMESPACES,),
    "among-ours": (Layer.NAMESPACES, Layer.OWN_USER, Layer.CGROUP),
}
"""What is taken away from this machine; without namespaces an interpreter in root's home needs root, too."""


@cache
def machine_without(*layers: Layer) -> Machine:
    """This machine with fewer layers; fails when one is offered here and no process starts in it."""
    offered = look()
    if not offered.has(Layer.NAMESPACES):
        pytest.skip("bubblewrap is not installed")
    if not offered.has(Layer.LANDLOCK) and Layer.NAMESPACES in layers:
        pytest.skip("this kernel has no Landlock")
    assert {one.layer for one in probe().missing} == {one.layer for one in offered.missing}
    machine = probe()
    for layer in layers:
        machine = machine.lacking(layer, "taken away")
    machine = tried(machine)
    assert machine.grade is (Layers.LANDLOCK if Layer.NAMESPACES in layers else Layers.NAMESPACES)
    return machine


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The server's loop; what is said over pipes on that of commands as well."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"uvloop": uvloop.new_event_loop}
    return loops | ({"asyncio": asyncio.new_event_loop} if item.path.name == "test_answers.py" else {})


@pytest.fixture(params=FEWER)
def machine(request: pytest.FixtureRequest) -> Machine:
    """Each kind of machine in turn."""
    return machine_without(*FEWER[request.param])


@pytest.fixture
def full() -> Machine:
    """This machine, with all it has."""
    return machine_without()


@pytest.fixture
def among_ours() -> Machine:
    """A machine whose plugins are processes of the server's user like any other, held by no group."""
    return machine_without(*FEWER["among-ours"])


@pytest.fixture
async def plugin(tmp_path: Path) -> AsyncIterator[Make]:
    """Make plugins; in the end all their processes must be gone."""
    made: list[Plugin] = []

    def make(machine: Machine, script: str, **more: Any) -> Plugin:
        made.append(make_plugin(tmp_path / f"plugin{len(made)}", machine, script, **more))
        return made[-1]

    yield make
    for one in made:
        await one.transport.close()
    assert [one.pids() for one in made] == [[] for _ in made]
