"""What monitors see: metrics by name on every role, a port of their own, a hub that still waits."""
import os
import re
import socket
import urllib.error
import urllib.request

import pytest

from hub import ROOT, Hub, Reply, free_port, wait_until

MIGRATION_LOCK = 3  # Lock::migrate of src/store
ROLES = ["api", "fanout", "dispatcher", "cleanup"]


def documented():
    with open(os.path.join(ROOT, "docs/metrics.md"), encoding="utf-8") as file:
        return set(re.findall(r"^\| `([a-z_]+)` \|", file.read(), re.M))


@pytest.mark.parametrize("role", ROLES)
def test_every_role_names_every_metric(role, hub):
    """Also those it never counts, so that no query of a dashboard names something unknown."""
    text = hub(roles=role).request("GET", "/metrics").body.decode()
    names = set(re.findall(r"^# TYPE ([a-z_]+) (?:counter|gauge|histogram)$", text, re.M))
    assert names == documented() and len(names) > 25
    assert set(re.findall(r"^# HELP ([a-z_]+) \S", text, re.M)) == names


def ask(port, path, method="GET"):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return Reply(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        return Reply(error.code, dict(error.headers), error.read())


def test_a_port_for_monitors(hub):
    port = free_port()
    one = hub(env={"EVENTHUB_SERVER_METRICS_PORT": str(port)})
    for path in ("/health", "/livez", "/readyz", "/metrics"):
        assert ask(port, path).status == 200
        assert one.request("GET", path).status == 200
    assert ask(port, "/events", "POST").status == 404
    assert one.post({"event_type": "a", "payload": {}}).status == 202
    assert one.metrics()["eventhub_http_connections"] >= 1


class SilentServer:
    """Takes connections and never answers: a database that is not there yet."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]

    def close(self):
        self.listener.close()


def reachable(hub):
    try:
        return hub.request("GET", "/livez", timeout=2).status == 200
    except OSError:
        return False


def test_a_hub_that_waits_for_its_database_answers_and_says_so():
    silent = SilentServer()
    one = Hub(env={"DB_HOST": "127.0.0.1", "DB_PORT": str(silent.port), "DB_PASSWORD": "x",
                   "EVENTHUB_DATABASE_CONNECT_TIMEOUT_MS": "60000"})
    one.start(ready=False)
    try:
        wait_until(lambda: reachable(one), 10, "/livez answers while the database does not")
        ready = one.request("GET", "/readyz")
        assert ready.status == 503
        assert "[-]schema" in ready.body.decode()
        assert one.request("GET", "/metrics").status == 200
        early = one.post({"event_type": "a", "payload": {}})
        assert early.status == 503 and early.headers["retry-after"] == "1"
        one.term()
        silent.close()  # the attempt to connect ends
        assert one.wait(30) == 0
    finally:
        if one.alive:
            one.kill()
        silent.close()
    assert one.sanitizer_report() is None


def test_a_hub_is_ready_when_the_schema_is_there(hub, database):
    """Somebody else is migrating, and takes his time."""
    lock = f"(hashtext('eventhub'), {MIGRATION_LOCK})"
    database.value(f"SELECT pg_advisory_lock{lock}")
    one = hub(ready=False)
    wait_until(lambda: reachable(one), 10, "/livez answers while the schema is not there")
    wait_until(lambda: "[+]database" in one.request("GET", "/readyz").body.decode())
    ready = one.request("GET", "/readyz")
    assert ready.status == 503 and "[-]schema" in ready.body.decode()
    assert one.request("GET", "/health").status == 200
    assert one.post({"event_type": "a", "payload": {}}).status == 503
    database.value(f"SELECT pg_advisory_unlock{lock}")
    one.wait_ready()
    assert one.post({"event_type": "a", "payload": {}}).status == 202
