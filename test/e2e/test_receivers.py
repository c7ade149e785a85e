"""Receivers that close, dawdle, hang, lie or are not to be called, and what the others notice."""
import socket
import threading

import pytest

from hub import Hub, free_port, wait_until
from load import PATIENCE, Hold, dead_letters, times_sent, wait_ended
from sink import Answer, Sink


def event(number):
    return {"event_type": "test.event", "organization_id": f"org-{number % 7}",
            "payload": {"number": number}}


@pytest.fixture(name="closing")
def closing_sink(request):
    made = Sink(keep_alive=request.param)
    yield made
    made.close()


@pytest.mark.parametrize("closing", [0.4], indirect=True)
def test_a_connection_the_receiver_closed_is_not_used_again(hub, database, closing):
    """The receiver closes idle connections long before the hub would: no attempt is lost by it,
    at most once least of all."""
    one = hub(env={"EVENTHUB_WEBHOOK_IDLE_MS": "60000"})
    least = database.subscribe(closing.url("/a"))
    once = database.subscribe(closing.url("/once"), delivery_guarantee="at_most_once")
    for number in range(5):
        assert one.post(event(number)).status == 202
        closing.wait(number + 1, "/a", PATIENCE)
        closing.wait(number + 1, "/once", PATIENCE)
        wait_until(lambda: not closing._open, PATIENCE, "the receiver closed its connections")
    assert wait_ended(database, least, 5) == {"delivered": 5}
    assert wait_ended(database, once, 5) == {"delivered": 5}
    assert len(closing.deliveries()) == 10
    assert {d.attempt for d in closing.deliveries()} == {1}


@pytest.mark.parametrize("closing", [0.01], indirect=True)
def test_connections_that_close_at_the_very_moment_lose_nothing(hub, database, closing):
    one = hub()
    least = database.subscribe(closing.url("/a"), retry_backoff_seconds=[0.02], retry_limit=10)
    once = database.subscribe(closing.url("/once"), delivery_guarantee="at_most_once")
    for number in range(150):
        assert one.post(event(number)).status == 202
        if number % 3 == 0:
            wait_until(lambda: len(closing._open) <= 1, PATIENCE, every=0.002)
    assert wait_ended(database, least, 150) == {"delivered": 150}
    wait_ended(database, once, 150)
    assert {d.event_id for d in closing.deliveries("/a") if d.ok} == {
        d.event_id for d in closing.deliveries("/a")}
    assert max(times_sent(closing.deliveries("/once")).values()) == 1
    lost = {str(d["event_id"]) for d in dead_letters(database, once)}
    arrived = {d.event_id for d in closing.deliveries("/once")}
    assert len(arrived | lost) == 150


def test_an_answer_then_a_close_without_notice(hub, database, sink):
    one = hub()
    sink.on("/a", Answer(close_after=True))
    sid = database.subscribe(sink.url("/a"))
    for number in range(100):
        one.post(event(number))
    assert wait_ended(database, sid, 100) == {"delivered": 100}
    assert len(times_sent(sink.deliveries("/a"))) == 100


def test_one_dead_one_hanging_and_one_refusing_receiver_among_many(hub, database, sink):
    """The others get everything while the hanging one has not answered once."""
    one = hub()
    hanging = Sink()
    try:
        hold = Hold()
        hanging.on("/a", hold)
        bad = [database.subscribe(hanging.url("/a"), max_in_flight=8),
               database.subscribe(f"http://127.0.0.1:{free_port()}/", max_in_flight=8,
                                  retry_backoff_seconds=[0.1], retry_limit=2)]
        sink.on("/500", 500)
        bad.append(database.subscribe(sink.url("/500"), retry_backoff_seconds=[0.1], retry_limit=2))
        good = {f"/{n}": database.subscribe(
            sink.url(f"/{n}"), ordering_enabled=n % 2 == 0, ordering_key="organization_id")
            for n in range(8)}
        for number in range(60):
            one.post(event(number))
        for path, sid in good.items():
            assert wait_ended(database, sid, 60) == {"delivered": 60}, path
        assert hold.now == hold.most == 8
        assert wait_ended(database, bad[1], 60) == {"dead": 60}
        assert wait_ended(database, bad[2], 60) == {"dead": 60}
        assert {d["reason"] for d in dead_letters(database, bad[1])} == {"retries_exhausted"}
        hold.open()
        assert wait_ended(database, bad[0], 60) == {"delivered": 60}
    finally:
        hanging.close()


def test_a_slow_receiver_has_at_most_its_cap_in_the_air(hub, database, sink):
    one = hub()
    lock = threading.Lock()
    flying = {"now": 0, "most": 0}

    def slow(delivery):
        with lock:
            flying["now"] += 1
            flying["most"] = max(flying["most"], flying["now"])
        threading.Event().wait(0.03)
        with lock:
            flying["now"] -= 1
        return 200

    sink.on("/slow", slow)
    sid = database.subscribe(sink.url("/slow"), max_in_flight=3)
    for number in range(40):
        one.post(event(number))
    assert wait_ended(database, sid, 40) == {"delivered": 40}
    assert flying["most"] <= 3


@pytest.mark.parametrize("url", [
    "http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/", "http://2130706433:{port}/", "http://0x7f000001:{port}/",
    "http://127.1:{port}/", "http://0:{port}/", "http://0.0.0.0:{port}/",
    "http://017700000001:{port}/", "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1:{port}/", "http://[fe80::1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/", "http://127.0.0.1.:{port}/"])
def test_private_addresses_are_never_called(strict, url):
    one, database, sink = strict
    try:
        kind = f"private.n{database.value('SELECT count(*) FROM subscribers')}"
        sid = database.subscribe(url.format(port=sink.port), kind, retry_limit=0, timeout_ms=5000)
    except Exception as error:
        assert "webhook_url" in str(error)
        return
    assert one.post({"event_type": kind, "payload": {}}).status == 202
    assert wait_ended(database, sid, 1) == {"dead": 1}
    letter, = dead_letters(database, sid)
    assert sink.connections == 0
    if url.split("/")[2].split(":{")[0] in ("127.0.0.1", "localhost", "[::1]", "169.254.169.254",
                                            "10.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0"):
        assert (letter["reason"], letter["outcome"]) == ("blocked_by_policy", "refused")


@pytest.fixture(scope="module", name="strict")
def hub_without_allowance(server):
    """A hub that may call no private address; a sink that must see nothing."""
    database, made = server.create_database(), Sink()
    one = Hub(database, env={"EVENTHUB_EGRESS_ALLOW_CIDRS": ""}).start()
    yield one, database, made
    one.stop(PATIENCE)
    assert not one.sanitizer_report()
    made.close()
    database.close()


class RawReceiver:
    """Answers every connection with `answer(socket)` after a request has begun."""

    def __init__(self, answer):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.calls = 0
        self._answer = answer
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            self.calls += 1
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link):
        try:
            with link:
                link.recv(65536)
                self._answer(link)
        except OSError:
            pass

    def close(self):
        self.listener.close()


def endless(head, chunk):
    def answer(link):
        link.sendall(head)
        while True:
            link.sendall(chunk)
    return answer


def once(answer):
    return lambda link: link.sendall(answer)


def dribble(link):
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Slow: " + b"x" * 10000:
        link.sendall(bytes([byte]))
        threading.Event().wait(0.05)


@pytest.mark.parametrize("answer, state", [
    (endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536), "delivered"),
    (endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"4\r\nabcd\r\n"),
     "delivered"),
    (endless(b"HTTP/1.1 503 no\r\n\r\n", b"x" * 65536), "dead"),
    (endless(b"HTTP/1.1 200 OK\r\n", b"X-More: header\r\n"), "dead"),
    (endless(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"), "dead"),
    (endless(b"", b"\0" * 4096), "dead"),
    (dribble, "dead"),
    (once(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 Fine\r\n\r\n"), "delivered"),
    (once(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"), "delivered"),
    (once(b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n"), None),
    (once(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), None),
    (once(b"HTTP/1.1 401 Who\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n"),
     "dead"),
    (once(b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n"),
     "dead"),
    (once(b"HTTP/1.1 421 Not me\r\nAlt-Svc: h2=\":1\"\r\nContent-Length: 0\r\n\r\n"), "dead"),
    (once(b"HTTP/1.1 200 OK\r\nRefresh: 0; url=http://127.0.0.2/\r\nContent-Length: 0\r\n\r\n"),
     "delivered"),
], ids=["endless body", "endless chunks", "endless 503", "endless header", "endless 1xx", "zeros",
        "header by byte", "100 then 204", "short body", "huge length", "two lengths",
        "401", "407", "421", "refresh"])
def test_answers_that_want_to_hurt(hub, database, sink, answer, state):
    """Each ends in time, and the hub goes on."""
    one = hub()
    bad = RawReceiver(answer)
    try:
        sid = database.subscribe(f"http://127.0.0.1:{bad.port}/", "bad.event", retry_limit=1,
                                 retry_backoff_seconds=[0.05], timeout_ms=1500)
        fine = database.subscribe(sink.url("/fine"))
        one.post({"event_type": "bad.event", "payload": {}})
        states = wait_ended(database, sid, 1)
        assert states == {state or next(iter(states)): 1}
        one.post(event(1))
        assert wait_ended(database, fine, 1) == {"delivered": 1}
        assert bad.calls <= 3
    finally:
        bad.close()


def test_an_answer_nobody_asked_for_is_nobodys(hub, database):
    """It comes on a kept connection, and would be the next request's; which may be another
    subscriber's."""
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    def answer(link):
        link.sendall(ok)
        threading.Event().wait(0.1)
        link.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        while link.recv(65536):
            link.sendall(ok)

    receiver = RawReceiver(answer)
    try:
        one = hub()
        for turn in range(3):
            sid = database.subscribe(f"http://127.0.0.1:{receiver.port}/{turn}", f"turn.{turn}",
                                     retry_limit=0)
            one.post({"event_type": f"turn.{turn}", "payload": {}})
            assert wait_ended(database, sid, 1) == {"delivered": 1}
            threading.Event().wait(1)
        assert receiver.calls == 3
    finally:
        receiver.close()
