"""Commands that do work: dead letters, apply, tail, doctor."""
import json

import pytest

from commands import Commands
from hub import free_port, wait_until
from load import PATIENCE
from sink import Answer

FILE = """
[[subscriber]]
name = "Users"
event_type = "user.*"
webhook_url = "{url}"
retry_backoff_seconds = [1, 2.5]
headers = {{ X-Team = "users" }}
secret_env = "USERS_SECRET"

[[subscriber]]
name = "Audit"
event_types = ["user.created", "order.>"]
webhook_url = "{url}"
rate_limit = 0.5
circuit_failures = 10
auth = {{ type = "bearer", token_env = "AUDIT_TOKEN" }}
"""
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def dead_letters(cli, hub, sink, count):
    """`count` dead letters of the subscriber S."""
    sink.on("/a", 400)
    cli("subscribers", "create", "--name", "S", "--event-type", "a.b", "--webhook-url",
        sink.url("/a"))
    for number in range(count):
        hub.post({"event_type": "a.b", "payload": {"n": number}})
    wait_until(lambda: len(cli.json("dlq", "list")["data"]) == count, PATIENCE)


@pytest.mark.slow
def test_dead_letters_are_listed_exported_retried_and_given_up(hub, sink, tmp_path):
    one = hub()
    cli = Commands(one)
    dead_letters(cli, one, sink, 5)
    ids = [row["id"] for row in cli.json("dlq", "list", "--subscriber", "S")["data"]]
    assert "rejected" in cli("dlq", "list", "--last-status", "400", "--since", "10m")
    assert cli("dlq", "list", "--last-status", "500").count("\n") == 1
    assert '{"n": 4}' in cli("dlq", "show", ids[0])

    out = tmp_path / "letters.ndjson"
    cli("dlq", "export", "--output", str(out))
    assert cli.errors == "eventhubd: 5 letters exported\n"
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == ids
    assert cli("dlq", "export") == out.read_text() and not list(tmp_path.glob("*.part"))

    cli("dlq", "retry-all", code=2)
    said = cli("dlq", "retry-all", "--every", "--dry-run")
    assert "can be sent again  5\n" in said
    sink.on("/a", Answer())
    cli("dlq", "retry", ids[0])
    cli("dlq", "discard", ids[1])
    wait_until(lambda: len(cli.json("dlq", "list")["data"]) == 3, PATIENCE)
    assert "sent again         3\n" in cli("dlq", "retry-all", "--type", "a.b", "--rate", "50")
    wait_until(lambda: cli.json("dlq", "list")["data"] == [], PATIENCE)
    assert sorted(d.message_id for d in sink.deliveries("/a") if d.ok) == sorted(
        ids[:1] + ids[2:])
    cli("dlq", "retry", ids[1], code=1)
    assert f"{ids[1]}: refused (404" in cli.errors
    cli("messages", "retry", ids[0])
    wait_until(lambda: sum(d.ok for d in sink.deliveries("/a")) == 5, PATIENCE)


@pytest.mark.slow
def test_apply_makes_it_so_and_then_has_nothing_to_do(hub, database, sink, tmp_path):
    cli = Commands(hub(roles="api"), env={"USERS_SECRET": SECRET, "AUDIT_TOKEN": "a-token"})
    path = tmp_path / "subscribers.toml"
    path.write_text(FILE.format(url=sink.url("/a")))
    apply = ("subscribers", "apply", "-f", str(path))
    cli("subscribers", "create", "--name", "Old", "--event-type", "x", "--webhook-url",
        sink.url("/old"))

    cli(*apply, "--dry-run")
    assert "2 to create, 0 to change, 0 to delete, 0 unchanged" in cli.errors
    assert database.value("SELECT count(*) FROM subscribers") == 1
    assert [line["action"] for line in cli.lines(*apply)] == ["create", "create"]
    assert database.value("SELECT secret FROM subscribers WHERE name = 'Users'") == SECRET
    assert "Audit: signed with a secret that was made for it" in cli.errors
    assert "Users: " not in cli.errors
    assert database.rows("SELECT headers, rate_limit, circuit_failures FROM subscribers"
                         " WHERE name = 'Audit'") == [
        ({"Authorization": "Bearer a-token"}, 0.5, 10)]
    assert [line["action"] for line in cli.lines(*apply)] == ["unchanged", "unchanged"]

    path.write_text(path.read_text().replace("[1, 2.5]", "[1, 3]").replace("X-Team", "X-Group"))
    assert cli.lines(*apply)[0]["members"] == ["headers", "retry_backoff_seconds"]
    assert database.rows("SELECT headers, retry_backoff_seconds FROM subscribers"
                         " WHERE name = 'Users'") == [({"X-Group": "users"}, [1.0, 3.0])]
    assert cli.lines(*apply, "--prune")[-1]["action"] == "delete"
    assert database.rows("SELECT name FROM subscribers ORDER BY 1") == [("Audit",), ("Users",)]

    path.write_text(path.read_text().replace('"order.>"', '"order.>.x"').replace("[1, 3]", "[2]"))
    cli(*apply, code=1)
    assert "change Audit: refused (422" in cli.errors and "1 refused" in cli.errors
    assert database.value("SELECT retry_backoff_seconds FROM subscribers"
                          " WHERE name = 'Users'") == [2.0]
    del cli.environment["USERS_SECRET"]
    cli(*apply, code=2)
    assert "Users: there is no variable USERS_SECRET" in cli.errors


@pytest.mark.slow
@pytest.mark.parametrize("what", ["events", "messages", "dlq"])
def test_tail_prints_what_is_new_once_and_survives_a_restart(hub, sink, what):
    one = hub()
    cli = Commands(one)
    sink.on("/a", 400)
    cli("subscribers", "create", "--name", "S", "--event-type", "a.b", "--webhook-url",
        sink.url("/a"))

    def publish(numbers):
        ids = [one.post({"event_type": "a.b", "payload": {"n": number}}).json()["event_id"]
               for number in numbers]
        one.post({"event_type": "not.this", "payload": {}})
        wait_until(lambda: len(sink.deliveries("/a")) == max(numbers) + 1, PATIENCE)
        wait_until(lambda: len(cli.json("dlq", "list")["data"]) == max(numbers) + 1, PATIENCE)
        return ids

    ids = publish(range(3))
    filters = ["--type", "a.b"] if what == "events" else ["--subscriber", "S"]
    tail = cli.start("tail", what, *filters, "--json", "--interval", "100", "--last", "2",
                     "--count", "7")
    name = "id" if what == "events" else "event_id"
    try:
        seen = [json.loads(tail.stdout.readline())[name] for _ in range(2)]
        assert seen == ids[1:]
        ids += publish(range(3, 5))
        seen += [json.loads(tail.stdout.readline())[name] for _ in range(2)]
        one.stop()
        assert "asking again" in tail.stderr.readline()
        one.start()
        ids += publish(range(5, 8))
        rest, _ = tail.communicate(timeout=PATIENCE)
        seen += [json.loads(line)[name] for line in rest.splitlines()]
    finally:
        tail.kill()
    assert tail.returncode == 0 and sorted(seen) == sorted(ids[1:])
    assert what == "dlq" or seen == ids[1:]


@pytest.mark.slow
def test_tail_ends_at_once_when_nobody_is_there_or_it_may_not():
    nobody = Commands(env={"PORT": str(free_port())})
    nobody("tail", code=3)
    nobody("tail", "keys", code=2)


def findings(cli, code=0):
    return {line["what"]: line for line in cli.lines("doctor", code=code)}


@pytest.mark.slow
def test_doctor_names_what_is_wrong_and_what_to_do(hub, database, sink):
    cli = Commands(env={**database.environment(), "EVENTHUB_EGRESS_ALLOW_CIDRS": "127.0.0.0/8",
                        "PORT": str(free_port())})
    found = findings(cli)
    assert found["schema"]["level"] == "warn" and "migrate" in found["schema"]["advice"]
    assert found["hub"]["level"] == "warn" and found["fsync"]["level"] == "warn"

    hub(port=int(cli.environment["PORT"]))
    database.subscribe(sink.url("/a"), name="Good")
    found = findings(cli)
    assert {found[what]["level"] for what in ("database", "schema", "privileges", "hub", "API key",
                                              "configuration", "receiver of Good")} == {"ok"}
    assert found["disk"]["level"] in ("ok", "warn") and not sink.deliveries("/a")

    database.subscribe(f"http://127.0.0.1:{free_port()}/", name="Gone")
    database.subscribe("http://10.0.0.1/", name="Private")
    database.subscribe("http://nowhere.invalid/", name="Resting", is_active=False)
    database.rows("UPDATE subscribers SET paused = true, paused_reason = '410' WHERE name = 'Good'")
    found = findings(cli, code=1)
    assert found["subscriber Good"]["found"] == "is paused: 410"
    assert "subscribers resume 'Good'" in found["subscriber Good"]["advice"]
    assert found["receiver of Gone"]["level"] == "fail"
    assert "EGRESS_ALLOW_CIDRS" in found["receiver of Private"]["advice"]
    assert found["receiver of Resting"]["level"] == "warn"
    text = cli("doctor", "--no-receivers", "--no-api")
    assert "receiver" not in text and text.startswith("ok    configuration")

    del cli.environment["EVENTHUB_DATABASE_ALLOW_UNSAFE_DURABILITY"]
    assert findings(cli, code=1)["fsync"]["level"] == "fail"
    url = f"http://127.0.0.1:{cli.environment['PORT']}"
    lost = Commands(env={"DB_HOST": "/nowhere", "EVENTHUB_URL": url})
    found = findings(lost, code=1)
    assert found["database"]["level"] == "fail" and found["hub"]["level"] == "ok"
    assert "receivers" not in found and lost.errors == ""
    assert "EVENTHUB_URL" not in lost("doctor", code=1)
    wrong = findings(Commands(env={"EVENTHUB_SERVER_BIND": "here"}), code=1)
    assert "server.bind" in wrong["configuration"]["found"]
