"""Secrets and credentials of subscribers encrypted in the database: with which key, and what
happens to those whose key is not there."""
import subprocess

import pytest

from hub import BINARY, clean_environment, wait_until
from load import PATIENCE
from sink import signature
from test_manage import Api, event
from test_secrets import GIVEN, made, next_delivery, signed_by

OLD, NEW = "a1" * 32, "B2" * 32
PLAIN = ("whsec_", "token-of-mine", "Bearer")


def with_keys(*keys):
    return {"EVENTHUB_SECRETS_MASTER_KEY": ",".join(keys)}


def rotate_master(database, *keys):
    """(exit code, standard output, standard error) of `eventhubd keys rotate-master`."""
    done = subprocess.run(
        [BINARY, "keys", "rotate-master"], capture_output=True, text=True, check=False, timeout=60,
        env=clean_environment({**database.environment(), **with_keys(*keys)}))
    return done.returncode, done.stdout, done.stderr


def stored(database):
    """Everything that the table has, as text."""
    return "\n".join(row for row, in database.rows("SELECT to_jsonb(s)::text FROM subscribers s"))


def key_ids(database):
    return {row[0] for row in database.rows(
        "SELECT DISTINCT (regexp_matches(to_jsonb(s)::text, 'sealed:v1:([0-9a-f]{16}):', 'g'))[1]"
        " FROM subscribers s")}


@pytest.fixture(name="key_file")
def a_file_with_a_key(tmp_path):
    path = tmp_path / "master.key"
    path.write_text(OLD + "\n", encoding="ascii")
    return str(path)


def test_nothing_is_stored_in_clear_and_everything_is_sent(hub, database, sink, key_file):
    one = hub(env={"EVENTHUB_SECRETS_MASTER_KEY_FILE": key_file})
    api = Api(one)
    mine = made(api, sink, auth={"type": "bearer", "token": "token-of-mine"}, headers={"X-A": "b"})
    path = f"/subscribers/{mine['id']}"
    new = api("POST", path + "/rotate-secret")["secret"]
    api("PATCH", path, {"headers": {"X-C": "d"}})
    text = stored(database)
    assert not any(word in text for word in PLAIN) and len(key_ids(database)) == 1

    def complete():
        delivery = next_delivery(api, sink)
        return "x-c" in delivery.headers and delivery
    delivery = wait_until(complete, PATIENCE)
    assert signed_by(delivery) == [signature(delivery, new), signature(delivery, mine["secret"])]
    assert (delivery.headers["authorization"], delivery.headers["x-a"]) == (
        "Bearer token-of-mine", "b")
    assert api("GET", path)["problem"] is None
    assert "kept in clear" not in one.log_text()
    # What is inserted by hand is as good.
    database.subscribe(sink.url("/sql"), "by.hand", secret=GIVEN, headers='{"X-A": "plain"}')
    one.post({"event_type": "by.hand", "payload": {}})
    delivery, = sink.wait(1, "/sql")
    assert signed_by(delivery) == [signature(delivery, GIVEN)]
    assert delivery.headers["x-a"] == "plain"


def test_without_the_key_a_subscriber_waits_and_nothing_is_lost(hub, database, sink):
    first = hub(env=with_keys(OLD))
    mine = made(Api(first), sink, ordering_enabled=True, ordering_key="organization_id")
    first.stop()
    old_id, = key_ids(database)
    other = hub(env={**with_keys(NEW), "EVENTHUB_DISPATCHER_PARK_AFTER_MS": "300"})
    api = Api(other)
    database.subscribe(sink.url("/other"), "test.event", secret=GIVEN)
    for number in range(20):
        assert other.post(event(number, organization_id="o")).status == 202
    sink.wait(20, "/other")
    shown = api("GET", f"/subscribers/{mine['id']}")
    assert f"master key {old_id}, which is not among those" in shown["problem"]
    assert shown == api("GET", "/subscribers")["data"][-1] and not shown["paused"]
    assert "problem" in shown and api("GET", "/subscribers")["data"][0]["problem"] is None
    tested = api("POST", f"/subscribers/{mine['id']}/test")
    assert not tested["delivered"] and old_id in tested["error"]
    wait_until(lambda: {(m["status"], m["reason"]) for m in api(
        "GET", f"/messages?subscriber={mine['id']}")["data"]} == {("waiting", "paused")}, PATIENCE)
    assert not sink.deliveries("/a") and not database.rows("SELECT FROM dead_letter_queue")
    other.wait_lines(lambda line: line["level"] == "error" and line.get("id") == mine["id"]
                     and old_id in line["error"])
    other.stop()
    hub(env=with_keys(NEW, OLD))
    deliveries = sink.wait(20, "/a")
    assert [d.number for d in deliveries] == list(range(20))
    assert signed_by(deliveries[0]) == [signature(deliveries[0], mine["secret"])]


def test_the_master_key_is_changed_by_a_command(hub, database, sink):
    api = Api(hub(env=with_keys(NEW, OLD), roles="api"))
    database.rows(
        "INSERT INTO subscribers (name, event_type, webhook_url, created_by, secret, headers)"
        " SELECT n, 'none', 'http://127.0.0.1:1/', 'me', %s, '{\"X-A\": \"token-of-mine\"}'"
        " FROM generate_series(1, 250) n", GIVEN)
    assert rotate_master(database, OLD)[:2] == (0, "encrypted anew: 250\n")
    assert not any(word in stored(database) for word in PLAIN)
    old_id, = key_ids(database)
    made(api, sink, secret=GIVEN)
    new_id, = key_ids(database) - {old_id}
    before = database.rows("SELECT max(updated_at) FROM subscribers")
    code, out, _ = rotate_master(database, NEW)
    assert (code, out) == (2, "encrypted anew: 0\n")
    code, out, errors = rotate_master(database, NEW, OLD)
    assert (code, out) == (0, "encrypted anew: 250\n")
    assert '"action":"secrets.rotate_master"' in errors and "250 subscribers" in errors
    assert OLD not in errors and NEW not in errors
    assert key_ids(database) == {new_id}
    assert database.rows("SELECT max(updated_at) FROM subscribers") == before
    assert rotate_master(database, NEW)[:2] == (0, "encrypted anew: 0\n")
    assert rotate_master(database)[0] == 2
    api.hub.stop()
    work = hub(env=with_keys(NEW))
    assert signed_by(next_delivery(Api(work), sink))[0].startswith("v1,")
    assert not [line for line in work.log_lines()
                if line["level"] == "error" and line.get("setting") != "fsync"]


def test_what_cannot_be_decrypted_stays_as_it_is(hub, database, sink):
    hub(env=with_keys(OLD), roles="api").stop()  # makes the schema
    for number in range(3):
        database.subscribe(sink.url("/a"), "a", secret=GIVEN, name=f"n{number}")
    assert rotate_master(database, OLD)[0] == 0
    database.rows("UPDATE subscribers SET secret = overlay(secret PLACING 'AAAAAAAA' FROM 60)"
                     " WHERE name = 'n1'")
    broken = database.rows("SELECT id, secret FROM subscribers WHERE name = 'n1'")
    code, out, errors = rotate_master(database, NEW, OLD)
    assert (code, out) == (2, "encrypted anew: 2\n")
    assert f"subscriber {broken[0][0]}: it is encrypted with the master key" in errors
    assert "1 subscribers could not be encrypted anew" in errors
    assert database.rows("SELECT id, secret FROM subscribers WHERE name = 'n1'") == broken


def test_a_hub_without_a_key_says_so_once(hub):
    one = hub()
    assert one.log_text().count("are kept in clear in the database") == 1


@pytest.mark.parametrize("keys", ["canary", OLD + "0", OLD + ";" + NEW])
def test_a_key_that_cannot_be_read_stops_the_start(keys):
    done = subprocess.run([BINARY, "config"], capture_output=True, text=True, check=False,
                          env=clean_environment({"EVENTHUB_SECRETS_MASTER_KEY": keys}), timeout=30)
    assert done.returncode == 2 and "secrets.master_key" in done.stderr
    assert keys not in done.stdout + done.stderr
    done = subprocess.run([BINARY, f"--secrets.master_key={OLD}", "config"], capture_output=True,
                          text=True, env=clean_environment(), check=False, timeout=30)
    assert done.returncode == 2 and OLD not in done.stdout + done.stderr
    done = subprocess.run([BINARY, "config"], capture_output=True, text=True, check=True,
                          env=clean_environment(with_keys(OLD)), timeout=30)
    assert "master_key" in done.stdout and OLD not in done.stdout
