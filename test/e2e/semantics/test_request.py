"""The delivered request: headers, signature, trace, bytes."""
import base64
import json
import os
import re
import sys
import uuid

import pytest

from hub import ROOT
from sink import signature

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_headers_and_envelope(case):
    own = {"X-Own": "yes", "Authorization": "Bearer t"}
    case.subscribe(body="envelope", headers=json.dumps(own))
    payload = b'{ "b":1.50,  "a" : "\\u00e9" }'
    reply = case.world.hub.post(b'{"event_type":"%s","version":"v7","organization_id":"o\\"1",'
                                b'"payload":%s}' % (case.type.encode(), payload))
    delivery = case.wait(1)[0]
    assert payload in delivery.body
    data = delivery.json()
    assert data["type"] == case.type and data["version"] == "v7"
    assert data["organization_id"] == 'o"1' and data["user_id"] is None
    assert data["data"] == json.loads(payload)
    assert data["id"] == delivery.message_id == delivery.headers["webhook-id"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", data["timestamp"])
    headers = delivery.headers
    assert headers["x-own"] == "yes" and headers["authorization"] == "Bearer t"
    assert headers["x-event-id"] == reply.json()["event_id"]
    assert headers["x-event-type"] == case.type and headers["x-event-version"] == "v7"
    assert headers["content-type"] == "application/json" and delivery.attempt == 1
    assert headers["user-agent"].startswith("eventhubd/")
    assert headers["host"] == f"127.0.0.1:{case.sink.port}"
    assert "webhook-signature" not in headers
    assert uuid.UUID(delivery.message_id).version == 8
    assert uuid.UUID(delivery.event_id).version == 7


def test_a_trace_goes_on_with_a_new_parent(case):
    case.subscribe()
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    body = json.dumps({"event_type": case.type, "payload": {}}).encode()
    reply = case.world.hub.request("POST", "/events", body, {
        "Content-Type": "application/json", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert reply.status == 202
    found = case.wait(1)[0].headers["traceparent"]
    assert re.fullmatch(rf"00-{trace}-[0-9a-f]{{16}}-01", found)
    assert "00f067aa0ba902b7" not in found


@pytest.mark.parametrize("headers", [
    {"X-A": "1\r\nX-Evil: 2"}, {"X-A\r\nX-Evil": "2"}, {"X-A": "1\nX-Evil: 2"}, {"X A": "1"},
    {"Content-Length": "0"}, {"Transfer-Encoding": "chunked"}, {"Host": "evil"}, {"X-A": 5},
    {"X-Message-Id": "forged"}, {"": "x"}, {"X-A": ["a"]}], ids=str)
def test_a_subscribers_headers_cannot_break_the_request(case, headers):
    """They are left out, and a good one beside them is sent."""
    case.subscribe(headers=json.dumps({**headers, "X-Good": "yes"}))
    case.post(1)
    assert case.ended(1) == {"delivered": 1}
    delivery, = case.sent()
    assert delivery.headers["x-good"] == "yes"
    assert delivery.headers["host"] == f"127.0.0.1:{case.sink.port}"
    assert delivery.json() == {"number": 1, "key": None}
    assert uuid.UUID(delivery.message_id).version == 8
    assert not {"x-evil", "x-a", "x a", "transfer-encoding", ""} & delivery.headers.keys()


def test_requests_are_signed_over_their_bytes(case):
    other = "whsec_" + base64.b64encode(bytes(range(64))).decode()
    case.subscribe(secret=SECRET)
    case.subscribe(path="/rotating", secret=other, previous_secret=SECRET,
                   previous_secret_until="2999-01-01")
    case.subscribe(path="/envelope", secret=SECRET, body="envelope")
    case.post(1, "ä")
    plain, both, envelope = (case.wait(1, path)[0] for path in ("", "/rotating", "/envelope"))
    assert plain.headers["webhook-signature"] == signature(plain, SECRET)
    assert envelope.headers["webhook-signature"] == signature(envelope, SECRET)
    assert both.headers["webhook-signature"].split(" ") == [
        signature(both, other), signature(both, SECRET)]


def test_signatures_satisfy_the_published_library(case):
    """scripts/install-dependencies --test fetches it; only without the network it may be absent."""
    sys.path.append(os.path.join(ROOT, "build/python"))
    try:
        library = pytest.importorskip("standardwebhooks", reason="PyPI could not be reached")
    finally:
        sys.path.pop()
    case.subscribe(secret=SECRET)
    case.post(1, "ä")
    delivery = case.wait(1)[0]
    checker = library.Webhook(SECRET)
    assert checker.verify(delivery.body, delivery.headers) == delivery.json()
    with pytest.raises(library.WebhookVerificationError):
        checker.verify(delivery.body + b" ", delivery.headers)


def accepted_json():
    """The accepted texts of the parser's unit test (test/unit/core/json_cases.hpp), and larger
    ones."""
    path = os.path.join(ROOT, "test/unit/core/json_cases.hpp")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    begin = text.index("inline void add_accepted")
    text = text[text.index("{", begin):text.index("cases.push_back", begin)]
    found = []
    for raw, plain in re.findall(r'R"\((.*?)\)"|"((?:\\.|[^"\\])*)"', text):
        found.append(raw.encode() if raw else _unescaped(plain))
    assert len(found) > 80 and b'["\\u0000"]' in found and b"[1e999]" in found
    return found + [
        b"[" * 60 + b"]" * 60, b'{"a":' * 60 + b"1" + b"}" * 60,
        b'{"long":"' + b"0123456789abcdef" * 20000 + b'"}']


def _unescaped(text):
    simple = {"n": b"\n", "t": b"\t", "r": b"\r", "0": b"\0"}

    def one(match):
        code = match.group(1)
        if code[0] == "x":
            return bytes([int(code[1:], 16)])
        return simple.get(code, code.encode())

    return re.sub(rb"\\(x[0-9A-Fa-f]+|.)", lambda m: one(re.match(r"(.*)", m.group(1).decode())),
                  text.encode())


def test_every_json_is_delivered_byte_for_byte(case):
    """Key order, doubled keys, number precision, white space, escapes, lone surrogates."""
    case.subscribe()
    texts = accepted_json()
    for number, text in enumerate(texts):
        reply = case.world.hub.post(b'{"event_type":"%s","version":"%d","payload":%s}' % (
            case.type.encode(), number, text))
        assert reply.status == 202, (text, reply.body)
    assert case.ended(len(texts)) == {"delivered": len(texts)}
    arrived = {int(d.headers["x-event-version"]): d.body for d in case.sent()}
    for number, text in enumerate(texts):
        assert arrived[number] == text.strip(b" \t\r\n"), number
