"""What is accepted, and when it is the same."""
import re
import socket
from concurrent.futures import ThreadPoolExecutor

from hub import order_violations
from load import PATIENCE, by_key


def test_s6_one_idempotency_key_at_64_clients_is_one_event(case):
    case.subscribe()
    event = {"event_type": case.type, "payload": {"number": 1}}
    with ThreadPoolExecutor(64) as pool:
        replies = list(pool.map(
            lambda _: case.world.hub.post(event, key=case.name, timeout=PATIENCE), range(64)))
    assert {r.status for r in replies} <= {200, 202}, [r for r in replies if r.status > 202]
    assert sum(r.status == 202 for r in replies) == 1
    assert len({r.json()["event_id"] for r in replies}) == 1
    for reply in replies:
        replayed = reply.headers.get("idempotency-replayed") == "true"
        assert replayed == (reply.status == 200)
    assert case.ended(1) == {"delivered": 1}
    assert len(case.sent()) == 1


def test_s6_a_key_used_again_for_something_else_is_422(case):
    case.subscribe()
    event = {"event_type": case.type, "payload": {"number": 1}, "organization_id": "o"}
    first = case.world.hub.post(event, key=case.name)
    for other in ({"payload": {"number": 2}}, {"organization_id": "p"}, {"version": "v2"},
                  {"user_id": "u"}, {"event_type": case.type + "2"}):
        assert case.world.hub.post({**event, **other}, key=case.name).status == 422, other
    again = case.world.hub.post(event, key=case.name)
    assert again.status == 200 and again.json()["event_id"] == first.json()["event_id"]
    assert again.json()["message"] == "Event already exists"
    assert case.ended(1) == {"delivered": 1}


def test_s7_organization_and_user_are_any_text(case):
    case.subscribe(body="envelope")
    case.post(organization_id="org-456", user_id="Ünïcode 🙂 'quoted' \"double\" \\")
    data = case.wait(1)[0].json()
    assert data["organization_id"] == "org-456"
    assert data["user_id"] == "Ünïcode 🙂 'quoted' \"double\" \\"


def test_a_body_of_exactly_1_mib_is_taken_and_one_byte_more_is_not(case):
    case.subscribe()
    head = b'{"event_type":"%s","payload":["' % case.type.encode()
    body = head + b"x" * (1048576 - len(head) - 3) + b'"]}'
    assert len(body) == 1048576
    assert case.world.hub.post(body).status == 202
    assert case.world.hub.post(body[:-3] + b'y"]}').status == 413
    assert case.wait(1)[0].body == body[len(head) - 2:-1]


def test_a_pipelined_flood_of_bad_requests_harms_nobody(case):
    """Fifty requests to nowhere and garbage on one connection, events on another: each request has
    its answer, the garbage one, and then the connection ends."""
    case.subscribe()
    hub = case.world.hub
    with socket.create_connection(("127.0.0.1", hub.port), timeout=PATIENCE) as link:
        link.sendall(b"GET /no HTTP/1.1\r\nHost: x\r\n\r\n" * 50 + b"\x00\xff garbage\r\n\r\n" * 50)
        case.post(1)
        answers = b"".join(iter(lambda: link.recv(65536), b""))
    assert re.findall(rb"HTTP/1.1 (\d{3}) ", answers) == [b"404"] * 50 + [b"400"]
    assert case.ended(1) == {"delivered": 1}


def test_eight_writers_and_every_event_is_one_message_per_subscriber(case):
    """… in each writer's order, while the fan-out follows."""
    hub, writers, count = case.world.hub, 8, 60
    ordered = case.ordered()
    plain = case.subscribe(path="/plain")

    def write(writer):
        return [case.post(number, f"writer-{writer}") for number in range(count)]

    with ThreadPoolExecutor(writers) as pool:
        accepted = [event_id for ids in pool.map(write, range(writers)) for event_id in ids]
    total = writers * count
    assert len(set(accepted)) == total
    assert case.ended(total, ordered) == case.ended(total, plain) == {"delivered": total}
    for path in ("", "/plain"):
        assert sorted(d.event_id for d in case.sent(path)) == sorted(accepted)
    rows = case.database.rows("SELECT e.id::text, m.sid FROM messages m JOIN events e USING "
                              "(event_seq) WHERE m.sid IN (%s, %s)", ordered, plain)
    assert sorted(rows) == sorted((i, sid) for i in accepted for sid in (ordered, plain))
    assert not order_violations(case.sent(), by_key)
    assert hub.alive
