"""Events that go out later, and messages that are not to go out any more."""
import datetime
import time

import pytest

from hub import wait_until
from load import PATIENCE, by_key
from proxy import Proxy
from sink import order_violations


def ahead(seconds):
    return (datetime.datetime.now(datetime.timezone.utc)
            + datetime.timedelta(seconds=seconds)).isoformat()


def event(number, **members):
    return {"event_type": "test.event", "payload": {"number": number, "key": "k"},
            "organization_id": "k", **members}


def accepted(hub, body, key=None):
    reply = hub.post(body, key)
    assert reply.status == 202, reply.body
    return reply.json()["event_id"]


def shown(hub, event_id):
    reply = hub.request("GET", f"/events/{event_id}")
    assert reply.status == 200, reply.body
    return reply.json()


def dead(database):
    return database.rows("SELECT event_id::text, outcome_name(outcome), reason, attempts FROM "
                         "dead_letter_queue ORDER BY event_seq")


def test_it_goes_out_within_a_second_of_its_time_and_not_before(hub, database, sink):
    hub(roles="fanout,dispatcher,cleanup")
    api = hub(roles="api")
    begun = time.monotonic()
    later = accepted(api, event(2, deliver_after=ahead(3)), key="later")
    answered = time.monotonic()
    # Whoever is there when it goes out gets it.
    database.subscribe(sink.url("/a"), ordering_enabled=True, ordering_key="organization_id")
    accepted(api, event(1))
    first, = sink.wait(1, "/a", PATIENCE)
    assert first.number == 1
    assert shown(api, later)["state"] == "scheduled"
    assert api.post(event(2, deliver_after=ahead(9)), key="later").json()["event_id"] == later
    both = sink.wait(2, "/a", PATIENCE)
    assert both[1].event_id == later
    sent = both[1].t_start / 1e9
    assert sent > begun + 2.99  # times are written in milliseconds
    assert sent < answered + 8  # a second late, and what a busy machine adds
    assert shown(api, later)["state"] == "accepted"


def test_a_cancelled_one_never_goes_out(hub, database, sink):
    one = hub()
    database.subscribe(sink.url("/a"))
    gone = accepted(one, event(1, deliver_after=ahead(4)), key="k")
    accepted(one, event(2, deliver_after=ahead(4.2)))
    assert one.request("DELETE", f"/events/{gone}").status == 204
    assert [d.number for d in sink.wait(1, "/a", PATIENCE)] == [2]
    assert one.request("GET", f"/events/{gone}").status == 404
    assert one.post(event(1, deliver_after=ahead(1)), key="k").status == 200  # not born again
    time.sleep(1.5)
    assert len(sink.deliveries("/a")) == 1
    lines = one.wait_lines(lambda line: line.get("action") == "event.cancel")
    assert [line["id"] for line in lines] == [gone]


@pytest.mark.slow
def test_scheduled_events_survive_kills_and_keep_their_order(hub, database, sink):
    api = hub(roles="api")
    movers = [hub(roles="fanout"), hub(roles="fanout")]
    hub(roles="dispatcher,cleanup")
    database.subscribe(sink.url("/a"), ordering_enabled=True, ordering_key="organization_id")
    base = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=8)
    for number in sorted(range(300), key=lambda n: n * 7919 % 300):
        due = base + datetime.timedelta(milliseconds=10 * number)
        accepted(api, event(number, deliver_after=due.isoformat()))
    now = datetime.datetime.now(datetime.timezone.utc)
    assert now < base, "all of them are there before the first is due"
    time.sleep((base - now).total_seconds())
    for turn in range(4):
        time.sleep(0.7)
        movers[turn % 2].kill()
        movers[turn % 2].start()
    got = sink.wait(300, "/a", PATIENCE)
    assert sorted({d.number for d in got}) == list(range(300))
    assert database.value("SELECT count(*) FROM events") == 300
    assert not order_violations(got, by_key)


def test_what_waits_for_a_retry_ends_when_it_expires(hub, database, sink):
    one = hub()
    sink.on("/a", 500)
    database.subscribe(sink.url("/a"), retry_backoff_seconds=[1000])
    begun = time.monotonic()
    late = accepted(one, event(1, expires_at=ahead(4)))
    assert wait_until(lambda: dead(database), PATIENCE) == [(late, "expired", "expired", 2)]
    assert time.monotonic() - begun > 3.9
    assert len(sink.deliveries("/a")) == 1


def test_a_better_idea_of_the_servers_time_sends_no_retry_before_it_is_due(hub, database, sink,
                                                                          server, request):
    """The hub knows the server's time to half a round trip: at first it is 0.2 s ahead here."""
    road = Proxy(server)
    request.addfinalizer(road.close)
    road.delay_out = 0.4
    one = hub(env=road.environment())
    sink.on("/a", 500)
    database.subscribe(sink.url("/a"), retry_backoff_seconds=[1000])
    late = accepted(one, event(1, expires_at=ahead(12)))
    sink.wait(1, "/a", PATIENCE)
    road.delay_out = 0
    assert wait_until(lambda: dead(database), PATIENCE) == [(late, "expired", "expired", 2)]
    assert len(sink.deliveries("/a")) == 1


def test_what_was_held_until_it_expired_is_not_sent(hub, database, sink):
    one = hub(env={"EVENTHUB_DISPATCHER_PARK_AFTER_MS": "200"})
    sid = database.subscribe(sink.url("/a"), paused=True, ordering_enabled=True,
                             ordering_key="organization_id")
    late = accepted(one, event(1, expires_at=ahead(1)))
    accepted(one, event(2, expires_at=ahead(600)))
    accepted(one, event(3))
    wait_until(lambda: database.value("SELECT count(*) FROM parked") == 3, PATIENCE)
    time.sleep(1)
    assert dead(database) == []  # it ends when its turn comes
    database.rows("UPDATE subscribers SET paused = false WHERE sid = %s", sid)
    assert [d.number for d in sink.wait(2, "/a", PATIENCE)] == [2, 3]
    assert dead(database) == [(late, "expired", "expired", 1)]
    # By hand it is sent all the same.
    letter = database.value("SELECT message_id::text FROM dead_letter_queue")
    assert one.request("POST", f"/dlq/{letter}/retry").status == 202
    assert sink.wait(3, "/a", PATIENCE)[2].event_id == late
