"""A programmable webhook receiver: real sockets, one thread per connection.

    sink = Sink()
    sink.on("/a", lambda d: 503 if d.attempt < 3 else 200)
    sink.on("/b", Answer(200, delay=0.2))
    sink.on("/c", Answer(hang=True))
    url = sink.url("/a")
    sink.wait(10, "/a")                   # deliveries answered on /a
    sink.deliveries("/a")                 # [Delivery, …] in order of arrival

A path without a rule answers 200. A rule is a status, an Answer, or a function of the Delivery that
returns one. Order is judged by order_violations().
"""
import base64
import dataclasses
import hashlib
import hmac
import json
import math
import socket
import struct
import threading
import time


@dataclasses.dataclass
class Answer:
    status: int = 200
    headers: dict = dataclasses.field(default_factory=dict)
    body: bytes = b""
    delay: float = 0      # seconds before the answer
    hang: bool = False    # never answers; the connection stays open until the sink closes
    close: bool = False   # closes without an answer (FIN)
    reset: bool = False   # closes without an answer (RST)
    close_after: bool = False  # answers, then closes without having said so
    raw: bytes = None     # sent instead of a well-formed answer
    pause: float = 0      # seconds between the first half of the answer and the second


@dataclasses.dataclass
class Delivery:
    path: str
    headers: dict         # names in lower case
    body: bytes
    connection: int       # number of the connection it came over, from 1
    t_start: int          # monotonic ns, request complete
    t_end: int = None     # monotonic ns, just before its answer (or its end) was handed to the
                          # kernel: who has the answer may be quicker than this process
    status: int = None    # what was answered; None for none

    @property
    def message_id(self):
        return self.headers.get("x-message-id")

    @property
    def event_id(self):
        return self.headers.get("x-event-id")

    @property
    def attempt(self):
        return int(self.headers.get("x-delivery-attempt", 0))

    @property
    def seq(self):
        return int(self.headers.get("x-event-seq", 0))

    @property
    def number(self):
        """The producer's own counter, as the payloads of these tests have it."""
        return self.json()["number"]

    @property
    def ok(self):
        return self.status is not None and 200 <= self.status < 300

    def json(self):
        return json.loads(self.body)


class Sink:
    """`keep_alive`: idle connections are closed by us after so many seconds (None: never)."""

    def __init__(self, port=0, keep_alive=None, host="127.0.0.1"):
        self.keep_alive = keep_alive
        self._rules = {}
        self._deliveries = []
        self._changed = threading.Condition()
        self._open = set()
        self.connections = 0
        self._host = f"[{host}]" if ":" in host else host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=512)
        self.port = self._listener.getsockname()[1]
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path="/"):
        return f"http://{self._host}:{self.port}{path}"

    def on(self, path, rule):
        self._rules[path] = rule

    def deliveries(self, path=None):
        with self._changed:
            return [d for d in self._deliveries if path is None or d.path == path]

    def answered(self, path=None):
        return [d for d in self.deliveries(path) if d.t_end is not None]

    def wait(self, count, path=None, timeout=30):
        """Waits until `count` deliveries on `path` were answered; fails with what came instead."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = [d for d in self._deliveries
                         if d.t_end is not None and (path is None or d.path == path)]
                if len(found) >= count:
                    return found
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"{len(found)} of {count} deliveries on "
                                         f"{path or 'all paths'} after {timeout} s")
                self._changed.wait(left)

    def close(self):
        self._closed = True
        self._listener.close()
        with self._changed:
            for connection in list(self._open):
                _shutdown(connection)

    def _accept(self):
        while not self._closed:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                self.connections += 1
                self._open.add(connection)
                number = self.connections
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection, number):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            buffered = b""
            while not self._closed:
                connection.settimeout(self.keep_alive)
                delivery, buffered = self._read(connection, buffered, number)
                connection.settimeout(None)
                if delivery is None:
                    break
                with self._changed:
                    self._deliveries.append(delivery)
                    self._changed.notify_all()
                if not self._answer(connection, delivery):
                    break
        except OSError:
            pass
        finally:
            with self._changed:
                self._open.discard(connection)
            connection.close()

    def _read(self, connection, buffered, number):
        while b"\r\n\r\n" not in buffered:
            data = connection.recv(65536)
            if not data:
                return None, b""
            buffered += data
        head, rest = buffered.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        while len(rest) < length:
            data = connection.recv(65536)
            if not data:
                return None, b""
            rest += data
        path = lines[0].split(" ")[1].split("?")[0]
        return Delivery(path, headers, rest[:length], number, time.monotonic_ns()), rest[length:]

    def _answer(self, connection, delivery):
        rule = self._rules.get(delivery.path, 200)
        answer = rule(delivery) if callable(rule) else rule
        if not isinstance(answer, Answer):
            answer = Answer(answer)
        return self._perform(connection, delivery, answer)

    def _perform(self, connection, delivery, answer):
        if answer.delay:
            time.sleep(answer.delay)
        if answer.hang:
            while not self._closed and connection.recv(65536):
                pass
            return False
        if answer.reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if answer.reset or answer.close:
            self._finish(delivery, None)
            return False
        try:
            data = answer.raw if answer.raw is not None else render(answer)
            if answer.pause:
                connection.sendall(data[:len(data) // 2])
                time.sleep(answer.pause)
                data = data[len(data) // 2:]
            answered_at = time.monotonic_ns()
            connection.sendall(data)
        except OSError:  # who asked is gone: our work on it ends now all the same
            self._finish(delivery, None)
            return False
        self._finish(delivery, answer.status, answered_at)
        return answer.raw is None and not answer.close_after

    def _finish(self, delivery, status, at=None):
        with self._changed:
            delivery.status = status
            delivery.t_end = at or time.monotonic_ns()
            self._changed.notify_all()


def signature(delivery, secret):
    """What a Standard Webhooks sender with this secret signs a delivery with."""
    signed = b"%s.%s." % (delivery.headers["webhook-id"].encode(),
                          delivery.headers["webhook-timestamp"].encode()) + delivery.body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def order_violations(deliveries, key, timeout=None):
    """What breaks "per key, in order, one at a time": sentences, empty when all is well. `key`
    maps a delivery to its ordering key. Order is that of the producer, payload.number, which must
    increase per key, and X-Event-Seq must say the same. A repeated message is no violation unless
    it comes after a newer one; one that was never answered is in flight for ever, or for `timeout`
    seconds."""
    found = []
    by_key = {}
    for delivery in sorted(deliveries, key=lambda d: d.t_start):
        by_key.setdefault(key(delivery), []).append(delivery)
    for value, row in by_key.items():
        newest, end, older_end = None, 0, 0  # `older_end`: of everything before the newest
        for delivery in row:
            name = f"key {value}: number {delivery.number}, event {delivery.seq},"
            if newest is None or delivery.number > newest.number:
                if newest and delivery.seq <= newest.seq:
                    found.append(f"{name} has no higher X-Event-Seq than {newest.seq} before it")
                newest, end, older_end = delivery, 0, max(end, older_end)
            elif delivery.number < newest.number:
                found.append(f"{name} came after number {newest.number}")
                continue
            if older_end > delivery.t_start:
                found.append(f"{name} began while an older one was in flight")
            end = max(end, _end(delivery, timeout))
    return found


def _end(delivery, timeout):
    if delivery.t_end is not None:
        return delivery.t_end
    return math.inf if timeout is None else delivery.t_start + int(timeout * 1e9)


def render(answer):
    lines = [f"HTTP/1.1 {answer.status} Answer", f"Content-Length: {len(answer.body)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + answer.body


def _shutdown(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
