"""A name server that can be told to fail.

    names = NameServer()
    hub(env={"EVENTHUB_WEBHOOK_DNS_SERVERS": names.address})
    names.mood = SILENT          # None: it answers again
"""
import collections
import socket
import struct
import threading

NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME, SILENT = 0, 2, 3, -1
TYPE_A, TYPE_CNAME, TYPE_AAAA = 1, 5, 28
TTL = 1  # seconds, the shortest that the hub keeps an answer


def _record(owner, kind, data):
    return owner + struct.pack("!HHIH", kind, 1, TTL, len(data)) + data


class NameServer:
    """127.0.0.1 for *.live.test; nothing at all for *.dead.test, until it is revived; no such name
    for others. `turns` has names with addresses of their own: a list of answers, each a list of
    addresses, IPv4 and IPv6, given in turn; `aliases` has names that are another's. UDP only.
    `mood`: SILENT answers nobody, SERVER_FAILURE and NO_SUCH_NAME answer everybody so."""

    def __init__(self):
        self.asked = collections.Counter()  # questions for A records, repetitions included
        self.mood = None
        self.turns = {}
        self.aliases = {}
        self._revived = threading.Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def address(self):
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def revive(self):
        self._revived.set()

    def close(self):
        self._closed = True
        self._thread.join()
        self._socket.close()

    def _run(self):
        while not self._closed:
            try:
                query, peer = self._socket.recvfrom(2048)
            except TimeoutError:
                continue
            answer = self._answer(query)
            if answer:
                self._socket.sendto(answer, peer)

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        kind, = struct.unpack_from("!H", query, at + 1)
        name = ".".join(labels)
        self.asked[name] += kind == TYPE_A
        if self.mood == SILENT or name.endswith(".dead.test") and not self._revived.is_set():
            return None
        owner, records = b"\xc0\x0c", []  # named as in the question, at 12
        if name in self.aliases:
            name = self.aliases[name]
            target = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
            records.append(_record(owner, TYPE_CNAME, target + b"\0"))
            owner = target + b"\0"
        addresses = self._addresses(name) if self.mood is None else None
        for address in addresses or []:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            if kind == (TYPE_AAAA if ":" in address else TYPE_A):
                records.append(_record(owner, kind, socket.inet_pton(family, address)))
        flags = 0x8180 | (self.mood or NO_SUCH_NAME if addresses is None else NO_ERROR)
        head = query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
        return head + query[12:at + 5] + b"".join(records)

    def _addresses(self, name):
        """None for a name that there is not."""
        if name in self.turns:
            answers = self.turns[name]
            return answers[max(0, self.asked[name] - 1) % len(answers)]
        return ["127.0.0.1"] if name.endswith((".live.test", ".dead.test")) else None
