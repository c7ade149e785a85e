"""What a hub finds out about its PostgreSQL: what makes it refuse to start, and what it says about
one that weakens its promises.
"""
import subprocess

import pytest

from hub import BINARY, Postgres, clean_environment, free_port, wait_until
from load import PATIENCE, quietly
from proxy import Pooler

ALLOW = "EVENTHUB_DATABASE_ALLOW_UNSAFE_DURABILITY"


@pytest.fixture
def own_server():
    """A PostgreSQL as it is out of the box, to change."""
    server = Postgres({"fsync": "on"})
    yield server
    server.close()


def refused(environment):
    """What a hub says that does not start."""
    environment = clean_environment({"PORT": str(free_port()), **environment})
    done = subprocess.run([BINARY], env=environment, capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout + done.stderr


def unsafe(hub):
    """Settings with a metric that says so."""
    return {name.split('"')[1] for name, value in hub.metrics().items()
            if name.startswith("eventhub_database_unsafe{") and value == 1}


def durability(hub):
    return hub.request("GET", "/health").json().get("durability")


def test_a_server_without_fsync_is_refused_and_the_way_out_is_named(database):
    environment = database.environment()
    del environment[ALLOW]
    said = refused(environment)
    assert "fsync" in said and ALLOW in said and "database.allow_unsafe_durability" in said


def test_with_the_switch_it_starts_and_says_so(hub):
    one = hub()
    assert durability(one) == "not guaranteed: fsync is off"
    assert one.request("GET", "/health").status == 200
    assert unsafe(one) == {"fsync"}
    assert one.post({"event_type": "a", "payload": {}}).status == 202
    told = wait_until(lambda: [line for line in one.log_lines() if line.get("setting") == "fsync"])
    assert len(told) == 1 and told[0]["level"] == "error" and "lost" in told[0]["harm"]


def test_a_safe_server_is_silent_and_a_changed_one_is_noticed(hub, own_server):
    """Also when it runs already: a fail-over may lead to a server with other settings. It is not
    stopped for that, but started it would not be."""
    database = own_server.create_database()
    one = hub(on=database, env={ALLOW: "false"})
    assert durability(one) is None and unsafe(one) == set()
    assert not [line for line in one.log_lines() if "weakens" in line["msg"]]
    quietly(database.close)
    own_server.stop()
    with open(f"{own_server.data}/postgresql.conf", "a", encoding="utf-8") as file:
        file.write("fsync = off\n")
    own_server.start()
    wait_until(lambda: durability(one) == "not guaranteed: fsync is off", PATIENCE)
    assert unsafe(one) == {"fsync"}
    assert one.post({"event_type": "a", "payload": {}}, timeout=PATIENCE).status in (202, 503)
    one.stop()
    assert "fsync" in refused({**database.environment(), ALLOW: "false"})


def test_of_several_servers_the_one_that_takes_writes_is_used(hub, database, own_server):
    standby = own_server.create_database(database.name)
    standby.rows(f'ALTER DATABASE "{database.name}" SET default_transaction_read_only = on')
    standby.close()
    hosts = ",".join(["/nonexistent", own_server.socket_dir, database.server.socket_dir])
    one = hub(env={"DATABASE_URL": f"postgresql://eventhub@/{database.name}?host={hosts}"
                                   "&target_session_attrs=read-write"})
    assert one.post({"event_type": "a", "payload": {}}).status == 202
    assert database.value("SELECT count(*) FROM events") == 1


def test_a_servers_or_roles_synchronous_commit_does_not_count(hub, database):
    database.rows(f'ALTER DATABASE "{database.name}" SET synchronous_commit = off')
    one = hub()
    assert unsafe(one) == {"fsync"}
    assert durability(one) == "not guaranteed: fsync is off"


def test_a_pooler_that_drops_the_sessions_settings_is_refused(database):
    """Without them a frozen process would keep its shards."""
    database.rows(f'ALTER DATABASE "{database.name}" SET search_path = eventhub')
    pooler = Pooler(database.server)
    try:
        said = refused({**database.environment(), **pooler.environment()})
    finally:
        pooler.close()
    assert "statement_timeout" in said and "PgBouncer" in said
