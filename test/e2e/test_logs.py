"""Logs: structured, without secrets, and never in the way."""
import fcntl
import json
import os
import signal
import subprocess
import time

from hub import BINARY, Hub, clean_environment, free_port, wait_until

F_SETPIPE_SZ = 1031


def test_the_start_is_one_line_that_says_what_runs(hub, database):
    one = hub(roles="api,fanout")

    def started_lines():  # the log is written a moment after the event
        return [line for line in one.log_lines() if line["msg"] == "eventhubd started"]

    started = wait_until(started_lines)
    assert len(started) == 1
    line = started[0]
    assert str(line["port"]) == str(one.port)
    assert line["roles"] == "api,fanout"
    assert line["version"].startswith("0.")
    assert database.server.socket_dir in line["database"]


def test_every_line_is_json_and_no_secret_is_among_them(hub, database, sink):
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    one = hub(env={"DB_PASSWORD": "very-secret-word"})
    database.subscribe(sink.url("/a?token=hidden-token"), secret=secret)
    one.post({"event_type": "test.event", "payload": {"card": "4111-1111"}})
    sink.wait(1, "/a")
    one.stop()
    for line in one.log_text().splitlines():
        json.loads(line)
    for word in ("very-secret-word", secret, secret[6:], "hidden-token", "4111-1111"):
        assert word not in one.log_text(), word


def test_a_blocked_reader_of_the_log_stops_nothing(database, sink, tmp_path):
    """`eventhubd | (sleep 999)`: the pipe is full, the hub goes on and counts what it drops."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
    port = free_port()
    environment = {**database.environment(), "PORT": str(port), "EVENTHUB_LOG_LEVEL": "trace",
                   "EVENTHUB_LOG_BUFFER_BYTES_MAX": "16384",
                   "EVENTHUB_EGRESS_ALLOW_CIDRS": "127.0.0.0/8"}
    process = subprocess.Popen([BINARY], env=clean_environment(environment), stdout=writer,
                               stderr=subprocess.DEVNULL, cwd=tmp_path)
    try:
        client = _client(database, port, process)
        client.wait_ready()
        database.subscribe(sink.url("/a"))
        for _ in range(200):
            assert client.post({"event_type": "test.event", "payload": {}}).status == 202
        sink.wait(200, "/a")
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.wait(30) == 0
        assert time.monotonic() - began < 20
    finally:
        process.kill()
        process.wait()
        os.close(reader)
        os.close(writer)


def _client(database, port, process):
    made = Hub(database, port=port)
    made.process = process
    return made


def test_hangup_and_a_closed_reader_end_nothing(hub, database):
    one = hub()
    for number in (signal.SIGHUP, signal.SIGPIPE):
        one.process.send_signal(number)
    time.sleep(0.3)
    assert one.request("GET", "/readyz").status == 200
    reader, writer = os.pipe()
    port = free_port()
    environment = {**database.environment(), "PORT": str(port), "EVENTHUB_LOG_LEVEL": "trace"}
    process = subprocess.Popen([BINARY], stdout=writer, stderr=subprocess.DEVNULL,
                               cwd=one.directory, env=clean_environment(environment))
    os.close(writer)
    try:
        client = _client(database, port, process)
        wait_until(lambda: os.read(reader, 1), 20)
        os.close(reader)
        client.wait_ready()
        for _ in range(20):
            assert client.post({"event_type": "test.event", "payload": {}}).status == 202
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
