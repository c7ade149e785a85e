"""A process of each role frozen (SIGSTOP) under load: the others go on meanwhile, and when it wakes
up it harms nobody, although what it believes to own belongs to others by then. A second fan-out and
a second cleanup stand by.
"""
import time

import pytest

from chaos import Load, roles
from hub import wait_until
from load import PATIENCE

ROLES = ["api", "fan-out", "dispatcher", "cleanup"]


@pytest.mark.parametrize("role", [
    role if role == "dispatcher" else pytest.param(role, marks=pytest.mark.slow)
    for role in ROLES])
def test_a_process_frozen_for_five_seconds(hub, database, sink, role):
    """Longer than PostgreSQL keeps its session here."""
    freeze(Load(hub, database, sink), role, 5)


@pytest.mark.slow
@pytest.mark.parametrize("role", [role for role in ROLES if role != "api"])
def test_a_process_frozen_for_a_minute(hub, database, sink, role):
    """With the settings everybody has. An api has no session of its own to lose."""
    freeze(Load(hub, database, sink, env={}, rate=20), role, 60)


def freeze(load, role, seconds):
    load.fleet.one("fanout,cleanup")
    process = roles(load)[role]
    victim = process if role == "dispatcher" else None
    alive = load.producers[1:] if role == "api" else None  # the other API has its own producer
    with load.fault(f"{role} frozen for {seconds} s", victim, repeats=victim is not None):
        until = time.monotonic() + seconds
        process.pause()
        try:
            load.goes_on(20, alive)
            assert time.monotonic() < until + 30, "long after it should have been replaced"
            time.sleep(max(0, until - time.monotonic()))  # the fault's length, not a wait
            load.goes_on(20, alive)
        finally:
            process.cont()
    load.verify()
    if victim:
        wait_until(lambda: load.shards_of(victim), PATIENCE, "it takes part again")
