"""The management API on running hubs: what is asked of one process acts on all."""
import concurrent.futures
import json
import time

import pytest

from hub import wait_until
from load import PATIENCE, Hold
from sink import Answer
from test_access import audits
from test_tls import Authority

JSON = {"Content-Type": "application/json"}


class Api:
    """Requests that must be answered as expected; returns the answer's JSON."""

    def __init__(self, hub):
        self.hub = hub

    def __call__(self, method, path, body=None, status=200):
        data = None if body is None else json.dumps(body).encode()
        reply = self.hub.request(method, path, data, JSON if body is not None else {})
        assert reply.status == status, f"{method} {path}: {reply.status} {reply.body}"
        return reply.json() if reply.body else None


@pytest.fixture(name="fleet")
def two_processes(hub):
    """An API process, and one that does the work: (api, API process, worker)."""
    front = hub(roles="api")
    worker = hub(roles="fanout,dispatcher,cleanup",
                 env={"EVENTHUB_DISPATCHER_PARK_AFTER_MS": "300"})
    return Api(front), front, worker


def event(number=0, **members):
    return {"event_type": "test.event", "payload": {"number": number}, **members}


def subscribe(api, sink, **columns):
    row = {"name": "mine", "event_type": "test.event", "webhook_url": sink.url("/a"), **columns}
    return api("POST", "/subscribers", row, 201)["id"]


def test_a_subscriber_of_the_api_gets_the_next_event(fleet, sink):
    api, front, _ = fleet
    subscribe(api, sink, headers={"X-Mine": "1"})
    front.post(event())
    assert sink.wait(1, "/a")[0].headers["x-mine"] == "1"


def test_a_change_acts_on_another_process_within_a_second(fleet, sink):
    api, front, _ = fleet
    mine = subscribe(api, sink)
    front.post(event(0))
    sink.wait(1, "/a")
    began = time.monotonic()
    api("PATCH", f"/subscribers/{mine}", {"webhook_url": sink.url("/b")})
    number = 0
    while not sink.deliveries("/b"):
        number += 1
        front.post(event(number))
        time.sleep(0.02)
        assert time.monotonic() - began < PATIENCE
    took = time.monotonic() - began
    assert took < 1.5, took  # a second, and the delivery itself


def test_a_test_calls_the_webhook_as_a_delivery_does(fleet, sink):
    api, _, worker = fleet
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    mine = subscribe(api, sink, secret=secret, headers={"X-Mine": "1"}, paused=True)
    sink.on("/a", lambda d: Answer(503, body=b"busy") if len(sink.deliveries("/a")) > 1 else 200)
    done = api("POST", f"/subscribers/{mine}/test")
    sent, = sink.deliveries("/a")
    assert done["delivered"] and done["status"] == 200 and done["error"] is None
    assert (sent.event_id, sent.message_id) == (done["event_id"], done["message_id"])
    assert sent.headers["x-event-type"] == "eventhub.test" and sent.headers["x-mine"] == "1"
    assert sent.headers["webhook-signature"].startswith("v1,") and sent.json()["test"] is True
    failed = api("POST", f"/subscribers/{mine}/test")
    assert (failed["delivered"], failed["status"], failed["response"]) == (False, 503, "busy")
    api("PATCH", f"/subscribers/{mine}", {"webhook_url": "http://closed.invalid/", "secret": None})
    unknown = api("POST", f"/subscribers/{mine}/test")
    assert unknown["status"] is None and unknown["error"]
    assert len(sink.deliveries("/a")) == 2 and not worker.metrics()["eventhub_dlq_size"]
    assert api("GET", "/events")["data"] == []


def test_many_tests_of_webhooks_read_the_authorities_once(hub, sink, tmp_path):
    """That takes a while of everybody's time; and who is called does not change by it."""
    authorities = tmp_path / "ca.pem"
    authorities.write_bytes((Authority(tmp_path).directory / "ca.pem").read_bytes())
    api = Api(hub(env={"EVENTHUB_EGRESS_CA_FILE": str(authorities)}))
    mine = subscribe(api, sink)
    assert api("POST", f"/subscribers/{mine}/test")["delivered"]
    authorities.unlink()
    for _ in range(10):
        assert api("POST", f"/subscribers/{mine}/test")["delivered"]
    assert sink.connections == 11, "a test shows that the receiver can be connected"


def test_every_change_is_one_line_of_the_log(hub, sink):
    """Whatever the level: who, what, from where. What changes nothing is none."""
    one = hub(env={"EVENTHUB_LOG_LEVEL": "error"})
    api = Api(one)
    sink.on("/a", 400)
    mine = subscribe(api, sink)
    expected = [("subscriber.create", mine)]

    def change(action, of, *request, status=200):
        expected.append((action, of))
        return api(*request, status=status)

    for number in range(3):
        one.post(event(number))
    first, second, _ = wait_until(
        lambda: len(api("GET", "/dlq")["data"]) == 3 and api("GET", "/dlq")["data"], PATIENCE)
    sink.on("/a", 200)
    this = f"/subscribers/{mine}"
    change("subscriber.change", mine, "PATCH", this, {"name": "other"})
    change("subscriber.pause", mine, "POST", f"{this}/pause")
    change("subscriber.resume", mine, "POST", f"{this}/resume")
    change("subscriber.rotate_secret", mine, "POST", f"{this}/rotate-secret")
    change("subscriber.test", mine, "POST", f"{this}/test")
    change("dead_letter.retry", first["id"], "POST", f"/dlq/{first['id']}/retry", status=202)
    wait_until(lambda: api("GET", f"/messages/{first['id']}")["status"] == "delivered", PATIENCE)
    change("message.retry", first["id"], "POST", f"/messages/{first['id']}/retry", status=202)
    change("dead_letter.discard", second["id"], "DELETE", f"/dlq/{second['id']}", status=202)
    every = {"filter": {"event_type": "test.event"}}
    api("POST", "/dlq/retry", {**every, "dry_run": True})
    change("dead_letter.retry_all", "", "POST", "/dlq/retry", every, status=202)
    api("PATCH", this, {"webhook_url": "ftp://example.com/"}, 422)
    nobody = "00000000-0000-4000-8000-000000000000"
    for method, path in (("POST", f"/subscribers/{nobody}/pause"), ("DELETE", f"/dlq/{nobody}"),
                         ("POST", f"/subscribers/{nobody}/test"), ("DELETE", f"/keys/{nobody}"),
                         ("POST", f"/messages/{nobody}/retry")):
        api(method, path, status=404)
    change("subscriber.delete", mine, "DELETE", this, status=204)
    lines = wait_until(lambda: len(audits(one.log_text())) >= len(expected)
                       and audits(one.log_text()))
    assert [(line["action"], line.get("id", "")) for line in lines] == expected
    assert {line["by"] for line in lines} == {"anybody"}
    assert {line["from"] for line in lines} <= {"127.0.0.1", "::1"}


def test_pause_holds_and_resume_lets_go_in_order(fleet, sink):
    api, front, _ = fleet
    mine = subscribe(api, sink, ordering_enabled=True, ordering_key="organization_id")
    assert api("POST", f"/subscribers/{mine}/pause", {"reason": "a pause"})["paused"] is True
    ids = [front.post(event(n, organization_id="o")).json()["event_id"] for n in range(5)]
    wait_until(lambda: [m["reason"] for m in api("GET", "/messages?status=waiting")["data"]]
               == ["paused"] * 5, PATIENCE)
    assert [m["event_id"] for m in api("GET", "/messages")["data"]] == ids[::-1]
    assert not sink.deliveries("/a")
    assert api("GET", f"/subscribers/{mine}")["paused_reason"] == "a pause"
    api("POST", f"/subscribers/{mine}/resume")
    assert [d.json()["number"] for d in sink.wait(5, "/a")] == [0, 1, 2, 3, 4]
    wait_until(lambda: len(api("GET", "/messages?status=delivered")["data"]) == 5, PATIENCE)


def test_deleting_a_subscriber_cancels_what_is_open(fleet, sink):
    api, front, _ = fleet
    mine = subscribe(api, sink, retry_backoff_seconds=[3600])
    sink.on("/a", 503)
    front.post(event())
    waiting, = wait_until(lambda: api("GET", "/messages?status=waiting")["data"], PATIENCE)
    assert (waiting["reason"], waiting["last_status"]) == ("retry", 503)
    api("DELETE", f"/subscribers/{mine}", status=204)
    wait_until(lambda: api("GET", f"/messages/{waiting['id']}")["status"] == "cancelled", PATIENCE)
    api("POST", f"/messages/{waiting['id']}/retry", status=409)


def test_an_event_is_there_right_after_its_202_and_shows_what_became_of_it(fleet, sink):
    api, front, _ = fleet
    subscribe(api, sink, retry_backoff_seconds=[0.05])
    sink.on("/a", lambda d: 200 if d.attempt > 1 else Answer(503, body=b"not now"))
    event_id = front.post(event(7)).json()["event_id"]
    at_once = api("GET", f"/events/{event_id}")
    assert at_once["payload"] == {"number": 7}
    done = wait_until(lambda: [m for m in api("GET", f"/events/{event_id}")["messages"]
                               if m["status"] == "delivered"], PATIENCE)[0]
    assert [(a["outcome"], a["status"], a["response"]) for a in done["delivery_attempts"]] == [
        ("retry", 503, "not now"), ("delivered", 200, None)]
    assert done["id"] == sink.deliveries("/a")[0].message_id
    assert api("GET", f"/messages/{done['id']}") == done
    # A delivered message goes out again as itself.
    api("POST", f"/messages/{done['id']}/retry", status=202)
    assert sink.wait(3, "/a")[2].message_id == done["id"]
    wait_until(lambda: api("GET", f"/messages/{done['id']}")["status"] == "delivered", PATIENCE)
    assert api("GET", f"/messages/{done['id']}")["delivery_attempts"][-1]["redelivery"] is True


def test_a_dead_letter_is_retried_and_another_given_up(fleet, sink):
    api, front, _ = fleet
    subscribe(api, sink, on_dead="block", ordering_enabled=True, ordering_key="organization_id")
    sink.on("/a", lambda d: 400 if d.json()["number"] < 2 else 200)
    for number, key in ((0, "x"), (1, "y"), (2, "x"), (3, "y")):
        front.post(event(number, organization_id=key))
    letters = wait_until(lambda: api("GET", "/dlq")["data"][1:] and api("GET", "/dlq")["data"],
                         PATIENCE)
    by_number = {api("GET", f"/dlq/{one['id']}")["payload"]["number"]: one["id"]
                 for one in letters}
    sink.on("/a", 200)
    api("POST", f"/dlq/{by_number[0]}/retry", status=202)
    api("DELETE", f"/dlq/{by_number[1]}", status=202)
    wait_until(lambda: not api("GET", "/dlq")["data"], PATIENCE)
    wait_until(lambda: len([d for d in sink.deliveries("/a") if d.ok]) == 3, PATIENCE)
    delivered = [d.json()["number"] for d in sink.deliveries("/a") if d.ok]
    assert sorted(delivered) == [0, 2, 3] and delivered.index(0) < delivered.index(2)
    api("POST", f"/dlq/{by_number[0]}/retry", status=404)


@pytest.mark.slow
def test_many_are_sent_again_at_a_rate_that_holds_no_key_up(fleet, sink):
    api, front, _ = fleet
    subscribe(api, sink, ordering_enabled=True, ordering_key="organization_id")
    sink.on("/a", 400)
    for number in range(6):
        front.post(event(number, organization_id="one key"))
    wait_until(lambda: len(api("GET", "/dlq")["data"]) == 6, PATIENCE)
    exported = front.request("GET", "/dlq/export").body.decode().splitlines()
    assert sorted(json.loads(line)["payload"]["number"] for line in exported) == list(range(6))
    sink.on("/a", 200)
    every = {"filter": {"event_type": "test.event", "last_status": 400}}
    assert api("POST", "/dlq/retry", {**every, "dry_run": True})["retryable"] == 6
    began = time.monotonic()
    done = api("POST", "/dlq/retry", {**every, "rate": 2}, 202)
    assert (done["matched"], done["retried"]) == (6, 6)
    front.post(event(6, organization_id="one key"))
    wait_until(lambda: any(d.json()["number"] == 6 for d in sink.deliveries("/a")), PATIENCE)
    assert time.monotonic() - began < 2.5, "a new event waited for retries that are not due"
    wait_until(lambda: len([d for d in sink.deliveries("/a") if d.ok]) == 7, PATIENCE)
    assert time.monotonic() - began > 2.4
    again = [d.json()["number"] for d in sink.deliveries("/a") if d.ok and d.json()["number"] < 6]
    assert again == list(range(6))
    wait_until(lambda: not api("GET", "/dlq")["data"], PATIENCE)


def test_questions_do_not_use_the_connections_of_events(fleet, database):
    """With all connections of the API held up by a lock, events are accepted and questions end."""
    api, front, _ = fleet
    api("GET", "/subscribers")
    with database.connect() as held:
        held.autocommit = False
        held.cursor().execute("LOCK TABLE dead_letter_queue IN ACCESS EXCLUSIVE MODE")
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            asked = [pool.submit(front.request, "GET", "/dlq") for _ in range(6)]
            wait_until(lambda: database.value("SELECT count(*) FROM pg_locks WHERE NOT granted"))
            assert front.post(event()).status == 202
            assert not any(one.done() for one in asked)
            assert {one.result().status for one in asked} == {503}
        held.rollback()
    api("GET", "/dlq")


def test_a_held_message_says_so_to_whoever_asks(fleet, sink):
    """`order`: a message that waits for an older one of its key."""
    api, front, _ = fleet
    hold = Hold()
    subscribe(api, sink, ordering_enabled=True, ordering_key="organization_id")
    sink.on("/a", hold)
    for number in range(2):
        front.post(event(number, organization_id="o"))
    second = wait_until(lambda: [m for m in api("GET", "/messages?status=waiting")["data"]
                                 if m["reason"] == "order"], PATIENCE)
    assert second
    hold.open()
    wait_until(lambda: len(api("GET", "/messages?status=delivered")["data"]) == 2, PATIENCE)
