"""Stored events once more, and payloads that are taken away."""
import json
import subprocess
import time

import pytest

from hub import BINARY, clean_environment, wait_until
from load import PATIENCE, by_key
from sink import order_violations

JSON = {"Content-Type": "application/json"}


def event(number, key="k", **members):
    return {"event_type": "test.event", "payload": {"number": number, "key": key},
            "organization_id": key, **members}


def publish(hub, count, **members):
    ids = []
    for number in range(count):
        reply = hub.post(event(number, **members))
        assert reply.status == 202
        ids.append(reply.json()["event_id"])
    return ids


def replay(hub, database, sid, body, status=202):
    subscriber = database.value("SELECT id::text FROM subscribers WHERE sid = %s", sid)
    reply = hub.request("POST", f"/subscribers/{subscriber}/replay", json.dumps(body).encode(),
                        JSON)
    assert reply.status == status, reply.body
    return reply.json()


def settled(database):
    """Every shard is past all events: a replay looks at all of them."""
    wait_until(lambda: database.value(
        "SELECT min(lwm) >= (SELECT max(event_seq) FROM events) FROM shards"), PATIENCE)


def states(database, sid):
    return dict(database.rows("SELECT state, count(*) FROM message_status WHERE sid = %s GROUP BY "
                              "state", sid))


def test_a_new_subscriber_gets_what_was_before_it(hub, database, sink):
    one = hub()
    publish(one, 30)
    publish(one, 3, event_type="other")
    settled(database)
    sid = database.subscribe(sink.url("/a"), ordering_enabled=True, ordering_key="organization_id")
    counted = replay(one, database, sid, {"from_seq": 0, "dry_run": True}, 200)
    assert (counted["matched"], counted["new"], counted["sendable"], counted["sent"],
            counted["next_seq"]) == (30, 30, 30, 0, None)
    assert not database.rows("SELECT FROM messages")
    assert replay(one, database, sid, {"from_seq": 0})["sent"] == 30
    got = sink.wait(30, "/a", PATIENCE)
    assert sorted({d.number for d in got}) == list(range(30))
    first = {}
    for delivery in got:
        first.setdefault(delivery.number, delivery)
    assert list(first) == sorted(first)
    wait_until(lambda: not database.rows("SELECT FROM redeliveries"), PATIENCE)
    assert states(database, sid) == {"delivered": 30}
    reply = one.request("GET", "/messages?status=delivered&limit=200").json()["data"]
    assert len(reply) == 30 and {m["id"] for m in reply} == {d.message_id for d in got}


def test_a_filter_and_a_key_of_the_payload_count_in_a_replay_too(hub, database, sink):
    one = hub()
    publish(one, 20)
    settled(database)
    sid = database.subscribe(sink.url("/a"), filter=json.dumps({"path": "/number", "lt": 5}),
                             ordering_enabled=True, ordering_key="/key")
    done = replay(one, database, sid, {"from_seq": 0})
    assert (done["matched"], done["sent"]) == (5, 5)
    assert [d.number for d in sink.wait(5, "/a", PATIENCE)] == [0, 1, 2, 3, 4]
    wait_until(lambda: states(database, sid) == {"delivered": 5}, PATIENCE)


def test_delivered_and_dead_ones_are_sent_again_as_the_same_messages(hub, database, sink):
    one = hub()
    sink.on("/a", lambda d: 400 if d.number % 3 == 0 and len(sink.deliveries("/a")) <= 12 else 200)
    sid = database.subscribe(sink.url("/a"), ordering_enabled=True, ordering_key="organization_id")
    publish(one, 12)
    before = sink.wait(12, "/a", PATIENCE)
    settled(database)
    done = replay(one, database, sid, {"from_seq": 0, "organization_id": "k", "rate": 100})
    assert (done["matched"], done["new"], done["sent"]) == (12, 0, 12)
    got = sink.wait(24, "/a", PATIENCE)[12:]
    assert [d.number for d in got] == list(range(12))
    assert [d.message_id for d in got] == [d.message_id for d in before]
    assert not order_violations(got, by_key)
    wait_until(lambda: not database.rows("SELECT FROM dead_letter_queue"), PATIENCE)
    assert replay(one, database, sid, {"from_seq": 0, "organization_id": "x"})["matched"] == 0
    replay(one, database, sid, {"dry_run": True}, 422)


def test_a_paused_subscriber_keeps_its_replay_and_its_order(hub, database, sink):
    one = hub()
    publish(one, 40)
    settled(database)
    sid = database.subscribe(sink.url("/a"), ordering_enabled=True, paused=True,
                             ordering_key="organization_id")
    replay(one, database, sid, {"from_seq": 0, "rate": 200})
    time.sleep(2.5)
    assert not sink.deliveries("/a")
    database.rows("UPDATE subscribers SET paused = false WHERE sid = %s", sid)
    got = sink.wait(40, "/a", PATIENCE)
    assert [d.number for d in got] == list(range(40))


@pytest.mark.slow
def test_killed_dispatchers_send_a_replay_in_order_to_its_end(hub, database, sink):
    api = hub(roles="api,fanout,cleanup")
    workers = [hub(roles="dispatcher"), hub(roles="dispatcher")]
    keys = [f"key-{n}" for n in range(6)]
    for number in range(120):
        assert api.post(event(number, keys[number % 6])).status == 202
    settled(database)
    sid = database.subscribe(sink.url("/a"), ordering_enabled=True, ordering_key="organization_id")
    assert replay(api, database, sid, {"from_seq": 0, "rate": 30})["sent"] == 120
    for turn in range(3):
        time.sleep(1.2)
        workers[turn % 2].kill()
        workers[turn % 2].start()
    wait_until(lambda: not database.rows("SELECT FROM redeliveries"), PATIENCE)
    got = sink.answered("/a")
    assert {d.number for d in got} == set(range(120))
    first = {}
    for delivery in got:
        first.setdefault(delivery.number, delivery)
    assert not order_violations(list(first.values()), by_key)
    assert states(database, sid) == {"delivered": 120}


def test_the_command_counts_and_sends(hub, database, sink):
    one = hub()
    publish(one, 10)
    settled(database)
    database.subscribe(sink.url("/a"), name="mine")
    environment = clean_environment({"EVENTHUB_URL": f"http://127.0.0.1:{one.port}"})

    def run(*arguments):
        return subprocess.run([BINARY, "replay", "mine", *arguments], capture_output=True,
                              text=True, timeout=PATIENCE, check=False, env=environment)

    dry = run("--from", "1h", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "10" in dry.stdout and "--dry-run" in dry.stdout
    assert run().returncode == 2
    done = run("--from", "1h", "--json")
    assert done.returncode == 0, done.stderr
    assert sum(json.loads(line)["sent"] for line in done.stdout.splitlines()) == 10
    sink.wait(10, "/a", PATIENCE)


def test_a_payload_that_was_taken_away_is_sent_to_nobody(hub, database, sink):
    api = hub(roles="api")
    hub(roles="fanout,dispatcher,cleanup")
    sink.on("/a", 503)
    sid = database.subscribe(sink.url("/a"), retry_backoff_seconds=[3])
    ids = publish(api, 2)
    sink.wait(2, "/a", PATIENCE)  # and its payload is in the dispatcher's cache
    assert api.request("DELETE", f"/events/{ids[0]}/payload").status == 204
    assert api.request("DELETE", f"/events/{ids[0]}/payload").status == 204
    wait_until(lambda: database.rows("SELECT event_id::text, reason, payload FROM "
                                     "dead_letter_queue") == [(ids[0], "expunged", None)], PATIENCE)
    sink.on("/a", 200)
    sink.wait(3, "/a", PATIENCE)
    assert len([d for d in sink.deliveries("/a") if d.event_id == ids[0]]) == 1
    shown = api.request("GET", f"/events/{ids[0]}").json()
    assert shown["payload"] == {} and shown["payload_expunged_at"]
    assert api.request("GET", f"/events/{ids[1]}").json()["payload_expunged_at"] is None
    letter = database.value("SELECT message_id::text FROM dead_letter_queue")
    assert api.request("GET", f"/dlq/{letter}").json()["payload"] is None
    assert api.request("POST", f"/dlq/{letter}/retry").status == 410
    settled(database)
    assert replay(api, database, sid, {"from_seq": 0, "dry_run": True}, 200)["matched"] == 1
    lines = api.wait_lines(lambda line: line.get("action") == "event.expunge", 2)
    assert [line["id"] for line in lines] == [ids[0]] * 2


def test_it_is_taken_out_of_dead_letters_and_of_what_goes_out_later(hub, database, sink):
    one = hub()
    sink.on("/a", 400)
    database.subscribe(sink.url("/a"))
    dead, = publish(one, 1)
    wait_until(lambda: database.rows("SELECT FROM dead_letter_queue WHERE payload IS NOT NULL"),
               PATIENCE)
    later, = publish(one, 1, deliver_after="2026-01-01T00:00:00Z", event_type="past")
    assert one.request("DELETE", f"/events/{dead}/payload").status == 204
    assert not database.rows("SELECT FROM dead_letter_queue WHERE payload IS NOT NULL")
    assert one.request("DELETE", f"/events/{later}/payload").status == 204
    assert one.request("GET", f"/events/{later}").json()["payload"] == {}
    database.rows("SELECT eventhub.publish('test.event', '{\"number\": 9}', deliver_after => now() "
                  "+ interval '4 seconds')")
    filed = wait_until(lambda: database.value("SELECT event_id::text FROM outbox WHERE id < 0"),
                       PATIENCE)
    assert one.request("DELETE", f"/events/{filed}/payload").status == 204
    assert database.value("SELECT payload FROM outbox") == "{}"
    wait_until(lambda: database.rows("SELECT FROM dead_letter_queue WHERE reason = 'expunged'"),
               PATIENCE)
    assert len(sink.deliveries("/a")) == 1
