"""No packet reaches an address that the egress policy refuses, however it is spelled or resolved:
only 127.0.0.1 is allowed here, and somebody listens at the same port of the others."""
import collections
import os
import select
import socket
import threading

import pytest

from load import PATIENCE, event, wait_ended
from names import NameServer
from test_manage import Api

ALLOWED, REFUSED = "127.0.0.1", ("127.0.0.2", "127.8.9.10", "::1")
EVENTS = 30
LITERALS = ("127.0.0.2", "127.8.9.10", "[::1]", "[::ffff:127.0.0.2]", "[::ffff:7f00:2]", "0.0.0.0",
            "[::]", "[::127.0.0.2]", "[64:ff9b::7f00:2]", "[2002:7f00:2::1]")


class Traps:
    """Listeners at the refused addresses, and, for root, a look at every packet of the loopback
    device: even a SYN is one too many."""

    def __init__(self, port):
        self.port = port
        self.reached = collections.Counter()
        self._listeners = {}
        for address in REFUSED:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            self._listeners[socket.create_server((address, port), family=family)] = address
        self._wire = None
        if os.getuid() == 0:
            self._wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
            self._wire.bind(("lo", 0))
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        self._closed = True
        self._thread.join()
        for one in [*self._listeners, *filter(None, [self._wire])]:
            one.close()

    def _run(self):
        watched = [*self._listeners, *filter(None, [self._wire])]
        while not self._closed:
            for ready in select.select(watched, [], [], 0.1)[0]:
                if ready is self._wire:
                    self._judge(ready.recv(128))
                else:
                    ready.accept()[0].close()
                    self.reached[self._listeners[ready]] += 1

    def _judge(self, packet):
        version = packet[0] >> 4
        if version == 4:
            start, target = (packet[0] & 15) * 4, socket.inet_ntoa(packet[16:20])
            tcp = packet[9] == socket.IPPROTO_TCP
        else:
            start, target = 40, socket.inet_ntop(socket.AF_INET6, packet[24:40])
            tcp = packet[6] == socket.IPPROTO_TCP
        port = int.from_bytes(packet[start + 2:start + 4], "big")
        if tcp and port == self.port and target != ALLOWED:
            self.reached["packet to " + target] += 1


@pytest.fixture(name="traps")
def listeners(sink):
    made = Traps(sink.port)
    yield made
    made.close()


@pytest.fixture(name="names")
def name_server():
    made = NameServer()
    yield made
    made.close()


def start(hub, names, **env):
    return hub(env={"EVENTHUB_EGRESS_ALLOW_CIDRS": ALLOWED + "/32",
                    "EVENTHUB_WEBHOOK_DNS_SERVERS": names.address, **env})


def blocked(database, sid):
    """How many dead letters of the subscriber have the policy as their reason."""
    return database.value("SELECT count(*) FROM dead_letter_queue WHERE sid = %s"
                          " AND reason = 'blocked_by_policy'", sid)


def test_the_traps_notice(traps):
    """They would see what this test is about: one connection each."""
    for address in REFUSED:
        socket.create_connection((address, traps.port)).close()
    expected = {*REFUSED, *({"packet to " + one for one in REFUSED} if os.getuid() == 0 else ())}
    for _ in range(100):
        if set(traps.reached) == expected:
            return
        threading.Event().wait(0.05)
    assert set(traps.reached) == expected


@pytest.mark.slow
def test_no_packet_reaches_a_refused_literal(hub, database, sink, traps, names):
    """By SQL, as the API does not take them."""
    one = start(hub, names)
    api = Api(one)
    sids = []
    for host in LITERALS:
        url = f"http://{host}:{sink.port}/refused"
        sids.append(database.subscribe(url))
        api("POST", "/subscribers", {"name": "a", "event_type": "a", "webhook_url": url}, 422)
    good = database.subscribe(sink.url("/good"))
    one.post(event(0))
    assert wait_ended(database, good, 1) == {"delivered": 1}
    for sid in sids:
        assert wait_ended(database, sid, 1) == {"dead": 1} and blocked(database, sid) == 1
    assert not traps.reached and not sink.deliveries("/refused")


@pytest.mark.slow
@pytest.mark.parametrize("idle_ms", ["0", "4000"])
def test_no_packet_reaches_what_a_name_turns_into(hub, database, sink, traps, names, idle_ms):
    """A name server that answers another address each time, and names that always lead astray; with
    kept connections and without."""
    names.turns = {
        "rebinding.test": [[ALLOWED], ["127.0.0.2"], ["127.8.9.10"]],
        "private.test": [["127.0.0.2"]],
        "metadata.test": [["169.254.169.254"]],
        "both.test": [["127.0.0.2", ALLOWED], [ALLOWED, "127.0.0.2"]],
    }
    one = start(hub, names, EVENTHUB_WEBHOOK_IDLE_MS=idle_ms)
    sids = {name: database.subscribe(f"http://{name}:{sink.port}/{name}") for name in names.turns}
    for number in range(EVENTS):
        assert one.post(event(number)).status == 202
        threading.Event().wait(0.3)  # answers are kept for a second
    ended = {name: wait_ended(database, sid, EVENTS, PATIENCE) for name, sid in sids.items()}
    for name in ("private.test", "metadata.test"):
        assert ended[name] == {"dead": EVENTS} and blocked(database, sids[name]) == EVENTS
    turned = ended["rebinding.test"]
    assert turned["delivered"] and sum(turned.values()) == EVENTS, turned
    # A kept connection leads to the address that was allowed, whatever the name says meanwhile.
    assert idle_ms != "0" or turned["dead"]
    assert blocked(database, sids["rebinding.test"]) == turned.get("dead", 0)
    assert sum(ended["both.test"].values()) == EVENTS
    assert not traps.reached, traps.reached


@pytest.mark.slow
def test_no_packet_reaches_what_aaaa_and_cname_lead_to(hub, database, sink, traps, names):
    """A refused address is none in whatever record, beside whatever else."""
    names.turns = {
        "allowed.test": [[ALLOWED]],
        "private.test": [["127.0.0.2"]],
        "six.test": [["::1"]],
        "mapped.test": [["::ffff:127.0.0.2"]],
        "ula.test": [["fd00::1"]],
        "nat64.test": [["64:ff9b::7f00:2"]],
        "six-to-four.test": [["2002:7f00:2::1"]],
        "mixed.test": [["::1", ALLOWED, "127.0.0.2"]],
    }
    names.aliases = {"to-private.test": "private.test", "to-six.test": "six.test",
                     "to-allowed.test": "allowed.test"}
    one = start(hub, names)
    sids = {name: database.subscribe(f"http://{name}:{sink.port}/{name}", retry_limit=0)
            for name in [*names.turns, *names.aliases]}
    assert one.post(event(0)).status == 202
    for name, sid in sids.items():
        if name in ("allowed.test", "to-allowed.test", "mixed.test"):
            assert wait_ended(database, sid, 1, PATIENCE) == {"delivered": 1}, name
        else:
            assert wait_ended(database, sid, 1, PATIENCE) == {"dead": 1}, name
            assert blocked(database, sid) == 1, name
    assert not traps.reached, traps.reached


@pytest.mark.parametrize("allowed", ["443", "443,{port}"])
def test_only_allowed_ports_are_called(hub, database, sink, allowed):
    one = hub(env={"EVENTHUB_EGRESS_ALLOW_PORTS": allowed.format(port=sink.port)})
    sid = database.subscribe(sink.url("/a"))
    assert one.post(event(0)).status == 202
    open_to_it = "{port}" in allowed
    assert wait_ended(database, sid, 1) == {"delivered" if open_to_it else "dead": 1}
    assert sink.connections == int(open_to_it)
    reasons = database.rows("SELECT reason FROM dead_letter_queue")
    assert reasons == ([] if open_to_it else [("blocked_by_policy",)])
