"""The hub as a whole: one process with everything, a process per role, start, drain and kill."""
import json
import os
import signal
import subprocess
import time

import pytest

from hub import (BINARY, ROOT, Hub, Producer, clean_environment, free_port, order_violations,
                 wait_until)
from load import by_key, event
from sink import Answer


def test_one_process_takes_and_delivers(hub, database, sink):
    one = hub()
    database.subscribe(sink.url("/a"), "test.event")
    reply = one.post(event(1), key="first")
    assert reply.status == 202
    assert reply.json()["message"] == "Event accepted for processing"
    delivery = sink.wait(1, "/a")[0]
    assert delivery.event_id == reply.json()["event_id"]
    assert delivery.attempt == 1
    assert delivery.json() == event(1)["payload"]
    assert one.post(event(1), key="first").status == 200
    wait_until(database.drained)
    assert len(sink.deliveries()) == 1


def test_a_process_per_role_together(hub, database, sink):
    hubs = [hub(roles=role) for role in ("api", "api", "fanout", "dispatcher", "dispatcher",
                                         "cleanup")]
    database.subscribe(sink.url("/a"), "test.*", ordering_enabled=True,
                       ordering_key="organization_id")
    sink.on("/a", Answer(delay=0.01))
    producer = Producer(hubs[:2], [event(n) for n in range(100)]).start()
    producer.join()
    sink.wait(100, "/a", timeout=60)
    wait_until(database.drained, 30)
    found = sink.deliveries("/a")
    assert len(found) == 100 and len({d.message_id for d in found}) == 100
    assert not order_violations(found, by_key)


@pytest.mark.parametrize("role", ["api", "fanout", "dispatcher", "cleanup"])
def test_every_role_serves_health_and_metrics(role, hub):
    one = hub(roles=role)
    health = one.request("GET", "/health")
    assert health.status == 200
    body = health.json()
    assert body["status"] == "healthy" and body["database"] == "connected"
    assert one.request("GET", "/livez").status == 200
    metrics = one.request("GET", "/metrics")
    assert metrics.status == 200
    assert b"eventhub_build_info" in metrics.body
    assert one.request("POST", "/events", b"{}", {"Content-Type": "application/json"}).status == (
        400 if role == "api" else 404)


def test_a_drain_finishes_what_is_in_flight_and_starts_nothing(hub, database, sink):
    """SIGTERM with webhooks in the air: each is answered and written down, none is sent again."""
    one = hub()
    sid = database.subscribe(sink.url("/a"), "test.event", max_in_flight=4)
    sink.on("/a", Answer(delay=0.5))
    for number in range(20):
        one.post(event(number))
    wait_until(lambda: sink.deliveries("/a"))
    began = time.monotonic()
    one.stop()
    assert time.monotonic() - began < 10
    sent = sink.deliveries("/a")
    assert len(sent) < 20 and all(d.t_end for d in sent)
    assert database.states(sid)["delivered"] == len(sent)
    sink.on("/a", Answer())
    one.start()
    sink.wait(20, "/a")
    wait_until(database.drained)
    assert len({d.message_id for d in sink.deliveries("/a")}) == len(sink.deliveries("/a")) == 20


def test_a_drain_ends_at_its_limit(hub, database, sink):
    one = hub(env={"EVENTHUB_DRAIN_TIMEOUT_MS": "1000"})
    database.subscribe(sink.url("/a"), "test.event")
    sink.on("/a", Answer(hang=True))
    one.post(event(1))
    wait_until(lambda: sink.deliveries("/a"))
    one.term()
    assert one.wait(8) == 0


def test_a_second_signal_ends_it_at_once(hub, database, sink):
    one = hub(env={"EVENTHUB_DRAIN_TIMEOUT_MS": "30000"})
    database.subscribe(sink.url("/a"), "test.event")
    sink.on("/a", Answer(hang=True))
    one.post(event(1))
    wait_until(lambda: sink.deliveries("/a"))
    one.process.send_signal(signal.SIGINT)
    wait_until(lambda: "draining" in one.log_text())
    assert one.alive
    one.process.send_signal(signal.SIGINT)
    assert one.wait(3) == 130


def test_killed_in_the_middle_loses_and_disorders_nothing(hub, database, sink):
    quick = {"WEBHOOK_TIMEOUT_MS": "1000", "EVENTHUB_DISPATCHER_TAKEOVER_MARGIN_MS": "200"}
    one = hub(env=quick)
    database.subscribe(sink.url("/a"), "test.event", ordering_enabled=True,
                       ordering_key="organization_id")
    once = database.subscribe(sink.url("/once"), "test.event",
                              delivery_guarantee="at_most_once")
    sink.on("/a", Answer(delay=0.02))
    producer = Producer([one], [event(n) for n in range(150)], rate=100).start()
    wait_until(lambda: len(sink.answered("/a")) >= 30)
    one.kill()
    one.start()
    producer.join()
    wait_until(database.drained, 60)
    accepted = set(producer.accepted.values())
    assert len(accepted) == 150
    assert {d.event_id for d in sink.deliveries("/a") if d.ok} == accepted
    assert not order_violations(sink.deliveries("/a"), by_key)
    received = [d.message_id for d in sink.deliveries("/once")]
    assert len(received) == len(set(received)), "at most once"
    missing = accepted - {d.event_id for d in sink.deliveries("/once")}
    dead = {str(row[0]) for row in database.rows(
        "SELECT event_id FROM dead_letters WHERE sid = %s AND outcome = 'unknown'", once)}
    assert missing <= dead


def test_embedded_keeps_its_data_over_a_kill(tmp_path_factory, sink):
    one = Hub(None)
    one.command.append(f"--embedded={one.directory}/data")
    try:
        one.start()
        event_id = one.post(event(1), key="k").json()["event_id"]
        one.kill()
        one.start()
        reply = one.post(event(1), key="k")
        assert reply.status == 200 and reply.json()["event_id"] == event_id
        one.stop()
        assert not os.path.exists(f"{one.directory}/data/postgresql/postmaster.pid")
        assert one.sanitizer_report() is None
    finally:
        if one.alive:
            one.stop()


def test_listen_prints_and_records_what_it_gets(hub, database, tmp_path):
    port = free_port()
    log = tmp_path / "received.jsonl"
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    key = tmp_path / "secret"
    key.write_text(secret + "\n")
    receiver = subprocess.Popen(
        [BINARY, "listen", "--port", str(port), "--secret-file", str(key), "--log", str(log),
         "--rule", "/b:status=500"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=clean_environment())
    try:
        assert "listening" in receiver.stdout.readline()
        one = hub()
        for path, row in {"/a": {"secret": secret}, "/b": {"secret": secret}, "/c": {}}.items():
            database.subscribe(f"http://127.0.0.1:{port}{path}", "test.event", retry_limit=0,
                               **row)
        event_id = one.post(event(7)).json()["event_id"]
        wait_until(database.drained)
        records = {r["path"]: r for r in map(json.loads, log.read_text().splitlines())}
        assert {path: r["status"] for path, r in records.items()} == {
            "/a": 200, "/b": 500, "/c": 401}
        one_record = records["/a"]
        assert one_record["event_id"] == event_id and one_record["attempt"] == "1"
        assert one_record["t_start"] <= one_record["t_end"]
        assert json.loads(one_record["body"]) == event(7)["payload"]
        receiver.terminate()
        assert receiver.wait(10) == 0
        assert "test.event" in receiver.stdout.read()
    finally:
        receiver.kill()


@pytest.mark.slow
def test_the_demo_runs_and_finds_nothing_wrong():
    done = subprocess.run([os.path.join(ROOT, "scripts/demo")], capture_output=True, text=True,
                          env=clean_environment({"EVENTHUBD": BINARY}), timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing lost" in done.stdout
