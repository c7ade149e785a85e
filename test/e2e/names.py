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
TYPE_A = 1
TTL = 1  # seconds, the shortest that the hub keeps an answer


class NameServer:
    """127.0.0.1 for *.live.test; nothing at all for *.dead.test, until it is revived; no such name
    for others. `turns` has names with addresses of their own: a list of answers, each a list of
    IPv4 addresses, given in turn. UDP only; an AAAA question is answered with no address. `mood`:
    SILENT answers nobody, SERVER_FAILURE and NO_SUCH_NAME answer everybody so."""

    def __init__(self):
        self.asked = collections.Counter()  # questions for A records, repetitions included
        self.mood = None
        self.turns = {}
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
        addresses = self._addresses(name) if self.mood is None else None
        records = b""
        for address in addresses or [] if kind == TYPE_A else []:  # named as in the question, at 12
            records += struct.pack("!HHHIH", 0xC00C, TYPE_A, 1, TTL, 4) + socket.inet_aton(address)
        flags = 0x8180 | (self.mood or NO_SUCH_NAME if addresses is None else NO_ERROR)
        head = query[:2] + struct.pack("!HHHHH", flags, 1, len(records) // 16, 0, 0)
        return head + query[12:at + 5] + records

    def _addresses(self, name):
        """None for a name that there is not."""
        if name in self.turns:
            answers = self.turns[name]
            return answers[max(0, self.asked[name] - 1) % len(answers)]
        return ["127.0.0.1"] if name.endswith((".live.test", ".dead.test")) else None
