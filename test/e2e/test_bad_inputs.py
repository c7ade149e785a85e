"""What nobody should send, cut at every byte and by the thousand: it is answered as it should be,
and nothing of it stays in the hub. How many there were is printed."""
import os
import statistics
import subprocess
import threading
import time

import pytest

from hub import wait_until
from load import PATIENCE
from raw import Input, answers, exchange, raw_requests

LONG = 700          # of a longer request not every byte is a place to cut
CONNECTIONS = 1000  # of slowhttptest


# Every byte with --all, else every fifth.
EACH = pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.slow)])


def cuts(data, step):
    """Every `step`th place within `data`; of a long one its ends and some between."""
    size = len(data)
    if size <= LONG:
        return range(1, size, step)
    return sorted({*range(1, 100), *range(100, size, 1024), *range(size - 100, size)})[::step]


def descriptors(hub):
    """But for connections to the database, which are kept: two at a time may open one more."""
    all_of_them = len(os.listdir(f"/proc/{hub.pid}/fd"))
    metrics = hub.metrics()
    return all_of_them - sum(metrics[f'eventhub_db_connections{{state="{state}"}}']
                             for state in ("idle", "in_use"))


def comparable(received):
    return [(status, {name: value for name, value in headers.items() if name != "Date"}, body)
            for status, headers, body in answers(received)]


class Nothing:
    """Checks at its end that the hub is as it was: alive, and without a descriptor more."""

    def __init__(self, hub):
        self.hub = hub
        assert hub.request("GET", "/livez").status == 200
        self.before = wait_until(lambda: self._settled() and descriptors(hub), PATIENCE)

    def _settled(self):
        """No connection but the one that asks."""
        return self.hub.metrics()["eventhub_http_connections"] == 1

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            assert self.hub.alive
            wait_until(self._settled, PATIENCE, "all connections are closed")
            wait_until(lambda: descriptors(self.hub) <= self.before, PATIENCE,
                       f"no more than {self.before:.0f} descriptors")
            assert self.hub.request("GET", "/livez").status == 200


@EACH
def test_bad_requests_cut_anywhere(hub, step):
    """Refused, with the status of the table, wherever they are cut; and nothing behind them is
    taken for a request."""
    one = hub(roles="api")
    table = [request for request in raw_requests() if request.kind != "good"]
    with Nothing(one):
        sent = 0
        for request in table:
            places = [(request.data,)] + [(request.data[:at], request.data[at:])
                                          for at in cuts(request.data, step)]
            for done in exchange(one, [Input(list(pieces)) for pieces in places]):
                statuses = [status for status, _, _ in answers(done.received)]
                assert len(statuses) == request.answers, (request.name, done)
                assert statuses[-1] == request.status, (request.name, done)
            sent += len(places)
    print(f"{sent} bad inputs: {len(table)} requests, each whole and cut")
    assert sent >= 2000 // step


@EACH
def test_good_requests_cut_anywhere(hub, step):
    """The answers are those to the whole, wherever it is cut."""
    one = hub(roles="api")
    table = [request for request in raw_requests() if request.kind == "good"]
    with Nothing(one):
        sent = 0
        for request in table:
            def sending(*pieces, of=request):
                return Input(list(pieces), of.answers, of.closed)
            whole, = exchange(one, [sending(request.data)])
            expected = comparable(whole.received)
            assert len(expected) == request.answers, (request.name, whole)
            inputs = [sending(request.data[:at], request.data[at:])
                      for at in cuts(request.data, step)]
            for done in exchange(one, inputs):
                assert comparable(done.received) == expected, (request.name, done)
            sent += len(inputs)
    print(f"{sent} times a good request in two pieces")


@EACH
def test_requests_that_end_anywhere(hub, step):
    """Half a request is 400; what was whole before it is answered."""
    one = hub(roles="api")
    table = [request for request in raw_requests() if request.kind == "good"]
    with Nothing(one):
        sent = 0
        for request in table:
            whole, = exchange(one, [Input([request.data], request.answers, request.closed)])
            expected = [status for status, _, _ in answers(whole.received)]
            inputs = [Input([request.data[:at]], finish=True) for at in cuts(request.data, step)]
            for done in exchange(one, inputs):
                statuses = [status for status, _, _ in answers(done.received)]
                complete = statuses[:-1] if statuses[-1:] == [400] else statuses
                assert complete == expected[:len(complete)], (request.name, done)
                assert statuses or not done.pieces[0].strip(), (request.name, done)
            sent += len(inputs)
    print(f"{sent} bad inputs: requests that end early")


class HealthyClient(threading.Thread):
    """Asks again and again, on kept and on new connections, and times each answer."""

    def __init__(self, hub):
        super().__init__(daemon=True)
        self.hub = hub
        self.over = threading.Event()
        self.statuses = {}
        self.times = []

    def run(self):
        while not self.over.wait(0.02):
            self._timed(lambda: self.hub.request("GET", "/livez", timeout=PATIENCE))
            self._timed(lambda: self.hub.post({"event_type": "test.event", "payload": {}},
                                              timeout=PATIENCE))

    def _timed(self, ask):
        began = time.monotonic()
        try:
            answer = ask().status
        except OSError as error:
            answer = repr(error)
        self.times.append(time.monotonic() - began)
        self.statuses[answer] = self.statuses.get(answer, 0) + 1

    def end(self):
        self.over.set()
        self.join(PATIENCE)
        assert not self.is_alive()


MODES = {
    "headers": ("/livez", ["-H", "-i", "2", "-x", "24"]),
    "bodies": ("/events", ["-B", "-i", "2", "-s", "8192", "-x", "10"]),
    # An answer that fits into no window of 10 to 20 bytes, 32 of it read every 2 s.
    "reads": ("/openapi.json", ["-X", "-w", "10", "-y", "20", "-n", "2", "-z", "32", "-k", "3"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_thousand_slow_connections_harm_nobody(hub, mode):
    """slowhttptest holds a thousand connections: a client beside it is answered as ever."""
    one = hub(roles="api,fanout", env={"EVENTHUB_SERVER_CONNECTIONS_PER_IP_MAX": "2000"})
    for _ in range(20):
        assert one.post({"event_type": "test.event", "payload": {}}).status == 202
    path, options = MODES[mode]
    with Nothing(one):
        client = HealthyClient(one)
        client.start()
        attack = subprocess.Popen(
            ["slowhttptest", "-c", str(CONNECTIONS), "-r", "500", "-l", "25", "-p", "60", "-v", "1",
             "-u", f"http://127.0.0.1:{one.port}{path}", *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        most = 0
        while attack.poll() is None:
            most = max(most, one.metrics()["eventhub_http_connections"])
            time.sleep(0.1)
        client.end()
        times = sorted(client.times)
        print(f"{mode}: up to {most:.0f} connections; {len(times)} healthy requests, "
              f"median {statistics.median(times) * 1000:.1f} ms, "
              f"p99 {times[len(times) * 99 // 100] * 1000:.1f} ms, most {times[-1] * 1000:.1f} ms")
        assert most > CONNECTIONS / 4, "the connections were there"
        assert set(client.statuses) == {200, 202}, client.statuses
