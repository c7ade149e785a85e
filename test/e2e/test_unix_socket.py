"""A hub that listens on a Unix socket: the real binary, curl and its own command line."""
import os
import socket
import stat
import subprocess

import pytest

from hub import BINARY, Hub, clean_environment, wait_until

EVENT = '{"event_type": "a", "payload": {}}'


@pytest.fixture
def place(tmp_path):
    os.chmod(tmp_path, 0o755)
    return str(tmp_path / "hub.sock")


@pytest.fixture
def listening(database, place):
    """Starts hubs on the socket; what a test has not stopped is killed."""
    started = []

    def start(**env):
        made = Hub(database, env={"EVENTHUB_SERVER_BIND": f"unix:{place}", **env})
        started.append(made)
        made.start(ready=False)
        wait_until(lambda: not made.alive or healthy(place), 30, "healthcheck is content")
        assert made.alive, made.log_text()
        return made
    yield start
    for one in started:
        if one.alive:
            one.kill()
        assert not one.sanitizer_report()


def healthy(place):
    return subprocess.run([BINARY, "healthcheck", f"unix:{place}"], capture_output=True,
                          check=False, timeout=20).returncode == 0


def curl(place, path, *options):
    """(status, body)"""
    done = subprocess.run(["curl", "-sS", "--max-time", "20", "--unix-socket", place,
                           "-w", "\n%{http_code}", *options, f"http://localhost{path}"],
                          capture_output=True, text=True, check=True, timeout=30)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def post(place, *options):
    return curl(place, "/events", "-H", "Content-Type: application/json", "-d", EVENT, *options)


def test_events_come_in_and_commands_find_the_hub(listening, database, sink, place):
    one = listening()
    database.subscribe(sink.url("/a"), "a")
    assert post(place)[0] == 202
    sink.wait(1, "/a")
    for environment, arguments in (({"EVENTHUB_URL": f"unix:{place}"}, []),
                                   ({}, ["--url", f"unix:{place}"])):
        shown = subprocess.run([BINARY, "events", "list", *arguments], capture_output=True,
                               text=True, env=clean_environment(environment), check=True,
                               timeout=30)
        assert len(shown.stdout.splitlines()) == 2, shown.stdout
    told, = one.wait_lines(lambda line: line["msg"].startswith("there is no API key"))
    assert told["address"] == f"unix:{place}"
    assert stat.S_IMODE(os.stat(place).st_mode) & 0o007 == 0, "others may not connect"
    one.stop()
    assert not os.path.exists(place)


def test_keys_are_asked_for_and_changes_name_the_socket(listening, place):
    admin = "an-admin-key-for-the-tests-0123456789"
    one = listening(EVENTHUB_ADMIN_KEY=admin)
    assert post(place)[0] == 401
    bearer = ("-H", f"Authorization: Bearer {admin}")
    assert post(place, *bearer)[0] == 202
    assert curl(place, "/keys", *bearer, "-H", "Content-Type: application/json", "-d",
                '{"name": "shop", "scopes": ["publish"]}')[0] == 201

    def origins():
        return [line["from"] for line in one.log_lines() if line["msg"] == "audit"]
    wait_until(lambda: origins() == ["unix socket"], 10)
    shown = subprocess.run([BINARY, "subscribers", "list", "--url", f"unix:{place}"],
                           capture_output=True, text=True, check=False, timeout=30,
                           env=clean_environment({"EVENTHUB_API_KEY": admin}))
    assert shown.returncode == 0, shown.stderr


def test_what_a_killed_process_leaves_is_replaced_and_a_live_one_is_not(listening, database, place):
    one = listening()
    second = Hub(database, env={"EVENTHUB_SERVER_BIND": f"unix:{place}"})
    second.start(ready=False)
    assert second.wait() == 1
    assert f"cannot listen on unix:{place}: Address already in use" in second.log_text()
    assert post(place)[0] == 202, "the first one still answers"
    one.kill()
    assert os.path.exists(place)
    one = listening()
    assert post(place)[0] == 202
    one.stop()


def test_a_file_that_is_no_socket_is_left_alone(database, place):
    with open(place, "w", encoding="utf-8") as file:
        file.write("precious")
    one = Hub(database, env={"EVENTHUB_SERVER_BIND": f"unix:{place}"})
    one.start(ready=False)
    assert one.wait() == 1
    with open(place, encoding="utf-8") as file:
        assert file.read() == "precious"


def test_more_connections_than_one_address_may_have(listening, place):
    """All peers of a Unix socket look alike; only the limit for all of them counts."""
    listening(EVENTHUB_SERVER_CONNECTIONS_PER_IP_MAX="3")
    held = [socket.socket(socket.AF_UNIX) for _ in range(10)]
    for one in held:
        one.connect(place)
    assert post(place)[0] == 202
    for one in held:
        one.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert one.recv(100).startswith(b"HTTP/1.1 200")
        one.close()


@pytest.mark.parametrize("bind,words", [
    ("unix:", "must be an absolute path"), ("unix:hub.sock", "must be an absolute path"),
    ("unix:/" + "a" * 120, "at most 107 bytes")])
def test_a_bad_path_stops_the_start(database, bind, words):
    one = Hub(database, env={"EVENTHUB_SERVER_BIND": bind})
    one.start(ready=False)
    assert one.wait() != 0
    assert words in one.log_text() and "server.bind" in one.log_text()
