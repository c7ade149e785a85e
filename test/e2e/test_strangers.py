"""What those get who are not let in: before their body is read, from a browser, through a proxy."""
import json
import socket
import time

import pytest

from hub import wait_until
from test_access import ADMIN, audits, curl, key, keys, post


# ── without a key ──

def header_only(hub, path, *fields, length=50):
    """What comes back for a header that promises a body, and whether the hub closes then."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json",
             f"Content-Length: {length}", *fields, "", ""]
    with socket.create_connection(("127.0.0.1", hub.port), timeout=20) as client:
        client.sendall("\r\n".join(lines).encode())
        received = client.recv(1 << 16)
        client.shutdown(socket.SHUT_WR)
        while more := client.recv(1 << 16):
            received += more
    return received.decode()


@pytest.mark.parametrize("expect", [(), ("Expect: 100-continue",)])
def test_a_refused_request_is_not_asked_for_its_body(database, hub, expect):
    """Route, key, scope and rate are looked at first: no 100, no waiting, no room for it."""
    one = hub(env={"EVENTHUB_ADMIN_KEY": ADMIN})
    reader, _ = keys(database, "create", "--name=watch", "--scopes=read")
    slow, _ = keys(database, "create", "--name=slow", "--scopes=publish", "--rate=0.01",
                   "--burst=1")
    wait_until(lambda: post(one, *key(slow))[0] == 202, 2)
    for status, path, *fields in (
            (401, "/events"), (401, "/events", "Authorization: Bearer wrong"),
            (401, "/subscribers"), (404, "/nope"), (405, "/livez"),
            (403, "/events", f"Authorization: Bearer {reader}"),
            (429, "/events", f"Authorization: Bearer {slow}")):
        began = time.monotonic()
        received = header_only(one, path, *fields, *expect)
        assert received.startswith(f"HTTP/1.1 {status} "), received
        assert "\r\nConnection: close\r\n" in received and "100 Continue" not in received
        assert time.monotonic() - began < 4, "it waited for the body"
    assert ("100 Continue" in header_only(
        one, "/events", f"Authorization: Bearer {ADMIN}", *expect)) == bool(expect)


@pytest.mark.parametrize("request_line, status", [("POST /events", 401), ("GET /livez", 400),
                                                  ("GET /openapi.json", 400)])
def test_bodies_without_a_key_are_in_nobodys_way(hub, request_line, status):
    """More of them than there is room for, and none arrives whole."""
    one = hub(env={"EVENTHUB_ADMIN_KEY": ADMIN,
                   "EVENTHUB_SERVER_BODIES_IN_FLIGHT_BYTES_MAX": str(1 << 20)})
    body = b"x" * 30_000
    head = (f"{request_line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body) + 1}"
            "\r\n\r\n").encode()
    held = []
    for _ in range(100):
        client = socket.create_connection(("127.0.0.1", one.port), timeout=20)
        client.sendall(head + body)
        held.append(client)
    assert post(one, *key(ADMIN))[0] == 202
    for client in held:
        assert client.recv(12) == b"HTTP/1.1 %d" % status
        client.close()


# ── on a hub without keys ──

def test_a_page_of_somebody_else_changes_nothing_on_an_open_hub(hub):
    """Posts without a body are asked for by no preflight, and ids are known to receivers."""
    one = hub()
    row = json.dumps({"name": "a", "event_type": "a", "webhook_url": "https://example.com/"})
    mine = json.loads(curl(one, "/subscribers", "-H", "Content-Type: application/json", "-d",
                           row)[2])["id"]
    for page in ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site",
                 "Origin: http://evil.example", "Origin: null"):
        for action in ("pause", "resume", "rotate-secret", "test"):
            status, _, body = curl(one, f"/subscribers/{mine}/{action}", "-X", "POST", "-H", page)
            assert status == 403 and "no page of another site" in body
    status, headers, _ = curl(one, "/events", "-X", "OPTIONS", "-H", "Sec-Fetch-Site: cross-site")
    assert status == 405 and "Access-Control-Allow-Origin" not in headers
    assert curl(one, f"/subscribers/{mine}/pause", "-X", "POST", "-H", "Sec-Fetch-Site: none",
                "-H", f"Origin: http://localhost:{one.port}")[0] == 200
    wait_until(lambda: "subscriber.pause" in one.log_text())
    assert [line["action"] for line in audits(one.log_text())] == [
        "subscriber.create", "subscriber.pause"]


def test_a_proxy_does_not_open_an_open_hub(hub):
    one = hub()
    for field in ("Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.1",
                  "X-Forwarded-Host: hub.example", "X-Forwarded-Proto: https", "Via: 1.1 proxy"):
        status, _, body = post(one, "-H", field)
        assert status == 403 and "behind a proxy" in body
    for host in ("[::1].evil.example", "localhost:evil.example", "localhost:"):
        assert post(one, "-H", f"Host: {host}")[0] == 403
    assert post(one, "-H", "Host: localhost")[0] == 202
