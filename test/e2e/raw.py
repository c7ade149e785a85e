"""Raw requests over real sockets, many at a time, each cut where the test says.

    raw_requests()                 the table of test/integration/http/raw_requests.hpp
    exchange(hub, inputs)          sends inputs (pieces of bytes), returns what came back
    answers(received)              [(status, headers, body)]

A piece is sent only when the hub has read those before it, which the kernel's queues tell.
"""
import dataclasses
import json
import os
import selectors
import socket
import struct
import subprocess

from hub import BINARY, wait_until
from load import PATIENCE

AT_ONCE = 100


@dataclasses.dataclass
class RawRequest:
    kind: str       # good, bad, smuggling
    name: str
    status: int     # of the last answer, by the server's own tests
    closed: bool
    answers: int
    data: bytes


def raw_requests():
    program = os.path.join(os.path.dirname(BINARY), "test", "raw_requests")
    lines = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return [RawRequest(data=for_a_hub(bytes.fromhex(entry.pop("hex"))), **entry)
            for entry in map(json.loads, lines.splitlines())]


def for_a_hub(data):
    """It reads no body for a path that it does not have, nor, while it is open, from a stranger."""
    return data.replace(b"POST /p ", b"POST /events ").replace(b"Host: hub\r", b"Host: localhost\r")


@dataclasses.dataclass
class Input:
    pieces: list            # of bytes
    answers: int = 1        # how many to wait for, unless the hub closes first
    closed: bool = True     # whether to wait for the hub to close
    finish: bool = False    # no more is sent, and the hub is told so
    received: bytes = b""
    was_closed: bool = False

    def is_over(self):
        return self.was_closed or (not self.closed and len(answers(self.received)) >= self.answers)


def answers(received):
    found = []
    while b"\r\n\r\n" in received:
        head, received = received.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        length = int(headers.get("Content-Length", 0))
        found.append((int(lines[0].split()[1]), headers, received[:length]))
        received = received[length:]
    return found


def _all_read(port):
    """Whether the hub has accepted and read everything: no queue of its sockets holds anything."""
    ours = f":{port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table:
            fields = line.split(None, 5)
            if fields[1].endswith(ours) and not fields[4].endswith(":00000000"):
                return False
    return True


def _send(connection, data):
    try:
        connection.sendall(data)
    except ConnectionError:
        pass  # refused already: the answer says why


def _receive(batch):
    """Reads until every input of the batch is over."""
    with selectors.DefaultSelector() as selector:
        for connection, one in batch:
            if not one.is_over():
                selector.register(connection, selectors.EVENT_READ, one)
        while selector.get_map():
            ready = selector.select(PATIENCE)
            assert ready, f"no answer to {[key.data.pieces for key in selector.get_map().values()]}"
            for key, _ in ready:
                one = key.data
                try:
                    data = key.fileobj.recv(1 << 16)
                except ConnectionError:
                    data = b""
                one.received += data
                one.was_closed = not data
                if one.is_over():
                    selector.unregister(key.fileobj)


def exchange(hub, inputs):
    """Sends all inputs, AT_ONCE at a time, and fills in what was received."""
    for start in range(0, len(inputs), AT_ONCE):
        batch = []
        for one in inputs[start:start + AT_ONCE]:
            connection = socket.create_connection(("127.0.0.1", hub.port), timeout=PATIENCE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            batch.append((connection, one))
        for turn in range(max(len(one.pieces) for _, one in batch)):
            wait_until(lambda: _all_read(hub.port), PATIENCE, "the hub reads", every=0.001)
            for connection, one in batch:
                if turn < len(one.pieces):
                    _send(connection, one.pieces[turn])
        for connection, one in batch:
            if one.finish:
                connection.shutdown(socket.SHUT_WR)
        _receive(batch)
        for connection, _ in batch:
            connection.close()
    return inputs
