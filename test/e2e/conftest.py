"""Fixtures of the end-to-end tests; hub.py says how to use them."""
import shutil

import pytest

from hub import BINARY, Hub, Postgres, Sink


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: left out unless --all is given")
    config.addinivalue_line("markers", "release: scripts/test --all runs it on build/release too")
    config.addinivalue_line("markers", "memory: scripts/test --all runs it on build/release too")


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="run the slow tests too")


def spread(items):
    """Slow tests evenly among the first two thirds: xdist hands out long runs of neighbours first,
    and a worker that has many slow ones at the end is waited for."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    rest = [item for item in items if not item.get_closest_marker("slow")]
    each = max(1, len(rest) * 2 // 3 // max(1, len(slow)))
    mixed = []
    while slow or rest:
        mixed += slow[:1] + rest[:each]
        slow, rest = slow[1:], rest[each:]
    return mixed


def pytest_collection_modifyitems(config, items):
    if config.getoption("--all"):
        items[:] = spread(items)
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow: --all runs it"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    for hub in getattr(item, "hubs", []) if report.when == "call" and report.failed else []:
        report.sections.append((f"eventhubd on port {hub.port}", hub.log_text()[-8000:]))


@pytest.fixture(scope="session")
def server():
    running = Postgres()
    yield running
    running.close()


@pytest.fixture
def database(server):
    made = server.create_database()
    yield made
    made.close()


@pytest.fixture
def sink():
    made = Sink()
    yield made
    made.close()


@pytest.fixture
def hub(request, database):
    """hub(roles=…, env=…, flags=…, port=…, ready=True) starts one more process on `database`."""
    hubs = request.node.hubs = []

    def start(roles="api,fanout,dispatcher,cleanup", ready=True, on=database, **options):
        made = Hub(on, roles, **options)
        hubs.append(made)
        return made.start(ready)

    yield start
    for made in hubs:
        if made.alive:
            made.cont()
            made.term()
    reports = []
    for made in hubs:
        if made.process and made.process.poll() is None:
            try:
                made.wait(20)
            except Exception:
                made.kill()
                reports.append(f"port {made.port} did not stop:\n{made.log_text()[-4000:]}")
        reports += [made.sanitizer_report(), made.leak()]
        shutil.rmtree(made.directory, ignore_errors=True)
    assert not any(reports), "\n".join(report for report in reports if report)


@pytest.fixture(scope="session")
def binary():
    return BINARY
