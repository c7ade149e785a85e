"""The receivers of a run: the sink of the end-to-end tests with answers that want to hurt, a log of
both ends of every delivery, and the kernel's own times of arrival: on a busy machine the thread
that reads a request may be late, which must not look like a hub that sends two at a time."""
import base64
import hashlib
import hmac
import json
import socket
import struct
import threading
import time

from profiles import answer_of
from sink import Answer, Sink, render

TIMESTAMPS = getattr(socket, "SO_TIMESTAMPNS", 35)
SECRET = base64.b64encode(b"a secret of the chaos program 32").decode()
GIGABYTE = 1 << 30
GARBAGE = (
    b"\x00\x01\x02 not HTTP at all\r\n\r\n", b"HTTP/9.9 200 OK\r\n\r\n", b"ICY 200 OK\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n", b"HTTP/1.1 -200 OK\r\n\r\n", b"HTTP/1.1 \xff\xfe OK\r\n\r\n",
    b"\r\n\r\n\r\n", b"HTTP/1.1 200\x00OK\r\nContent-Length: 0\r\n\r\n", b"H", b"\x16\x03\x01\x02",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", b"HTTP/1.1 200 OK\r\n: nameless\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000 + b"\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
)


class Stamped:
    """A connection that knows when its last bytes arrived."""

    def __init__(self, connection):
        self._connection = connection
        self.arrived = 0

    def recv(self, size):
        data, notes, _, _ = self._connection.recvmsg(size, 64)
        now = self.arrived = time.monotonic_ns()
        for level, kind, value in notes:
            if level == socket.SOL_SOCKET and kind == TIMESTAMPS:
                seconds, nanos = struct.unpack("qq", value[:16])
                self.arrived = min(now, seconds * 1_000_000_000 + nanos - wall_ahead())
        return data

    def __getattr__(self, name):
        return getattr(self._connection, name)


def wall_ahead():
    """By how many ns the time of day is ahead of the monotonic clock; read between two looks at the
    latter that are close together, or somebody else had the processor in between."""
    while True:
        before = time.monotonic_ns()
        wall = time.time_ns()
        if time.monotonic_ns() - before < 100_000:
            return wall - before


class Receivers(Sink):
    """`subscribers`: [Profile]; the path of number n is /n. `override[path]` is an answer for all
    deliveries until it is taken away."""

    def __init__(self, seed, subscribers, journal):
        self.override = {}
        self._seed = seed
        self._paths = {f"/{index}": profile for index, profile in enumerate(subscribers)}
        self._journal = journal
        self._numbers = {}
        self._count = 0
        self._count_lock = threading.Lock()
        super().__init__()
        self._listener.setsockopt(socket.SOL_SOCKET, TIMESTAMPS, 1)

    def _serve(self, connection, number):
        try:
            super()._serve(Stamped(connection), number)
        finally:
            with self._changed:
                self._open.discard(connection)

    def _read(self, connection, buffered, number):
        delivery, rest = super()._read(connection, buffered, number)
        if delivery:
            delivery.t_start = connection.arrived
        return delivery, rest

    def _answer(self, connection, delivery):
        profile = self._paths.get(delivery.path)
        try:
            number = json.loads(delivery.body)["number"]
        except (ValueError, KeyError, TypeError):
            number = None
        name = self.override.get(delivery.path)
        if name is None:
            name = "200" if profile is None or number is None else answer_of(
                self._seed, profile, number, delivery.attempt)
        with self._count_lock:
            self._count += 1
            mark = self._count
        self._journal.write(
            t=delivery.t_start, phase="start", n=mark, path=delivery.path, number=number,
            message=delivery.message_id, event=delivery.event_id, seq=delivery.seq,
            attempt=delivery.attempt, sha=hashlib.sha256(delivery.body).hexdigest(),
            signed=_signed(delivery), type=delivery.headers.get("x-event-type"),
            port=connection.getpeername()[1], answer=name)
        delivery.mark = mark
        return self._act(connection, delivery, name, profile)

    def _act(self, connection, delivery, name, profile):
        if name in ("hang", "reset", "close"):
            if name != "hang":
                self._end(delivery, None)
            return self._perform(connection, delivery, Answer(**{name: True}))
        if name == "drip":
            return self._drip(connection)
        if name == "gigabyte":
            return self._gigabyte(connection, delivery)
        if name == "garbage":
            junk = GARBAGE[(7 * delivery.seq + delivery.attempt) % len(GARBAGE)]
            self._end(delivery, None)
            connection.sendall(junk)
            return False
        return self._plain(connection, delivery, name)

    def _plain(self, connection, delivery, name):
        headers, status = {}, 200
        if name == "slow":
            time.sleep(0.15)
        elif name == "redirect":
            status, headers = 302, {"Location": self.url("/redirected")}
        else:
            status = int(name)
        if status == 429:
            headers = {"Retry-After": "1"}
        if status == 301:
            headers = {"Location": "http://169.254.169.254/latest/meta-data/"}
        self._end(delivery, status)  # before it leaves: later is too late on a busy machine
        connection.sendall(render(Answer(status, headers)))
        return True

    def _drip(self, connection):
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 600:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)
        return False

    def _gigabyte(self, connection, delivery):
        self._end(delivery, 200)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % GIGABYTE)
        chunk = b"x" * 65536
        for _ in range(GIGABYTE // len(chunk)):
            connection.sendall(chunk)
        return False

    def _end(self, delivery, status):
        delivery.status, delivery.t_end = status, time.monotonic_ns()
        self._journal.write(t=delivery.t_end, phase="end", n=delivery.mark, status=status)


def _signed(delivery):
    """True or False for a request with a signature, None for one without."""
    given = delivery.headers.get("webhook-signature")
    if given is None:
        return None
    content = b".".join([delivery.headers.get("webhook-id", "").encode(),
                         delivery.headers.get("webhook-timestamp", "").encode(), delivery.body])
    wanted = hmac.new(base64.b64decode(SECRET), content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(wanted).decode()}" in given.split(" ")
