"""The published verifiers of Standard Webhooks accept what the hub sends, and refuse what somebody
changed. scripts/install-dependencies --test fetches them; only without the network, or without npm,
they may be absent."""
import base64
import dataclasses
import importlib
import json
import os
import subprocess
import sys
import time

import pytest

from hub import ROOT
from sink import signature
from test_manage import Api
from test_secrets import GIVEN, made

OTHER = "whsec_" + base64.b64encode(bytes(range(64))).decode()
MODULES = os.path.join(ROOT, "build/node/node_modules")
LIBRARIES = ("python standardwebhooks", "npm standardwebhooks", "npm svix")


def by_python(checks):
    sys.path.append(os.path.join(ROOT, "build/python"))
    try:
        library = importlib.import_module("standardwebhooks")
    finally:
        sys.path.pop()
    found = []
    for secret, delivery in checks:
        try:
            library.Webhook(secret).verify(delivery.body, delivery.headers)
            found.append(None)
        except library.WebhookVerificationError as error:
            found.append(f"WebhookVerificationError: {error}")
    return found


def by_node(name, checks):
    asked = [{"library": name, "secret": secret, "headers": delivery.headers,
              "body": base64.b64encode(delivery.body).decode()} for secret, delivery in checks]
    done = subprocess.run(
        ["node", os.path.join(ROOT, "test/e2e/verify.cjs")], input=json.dumps(asked),
        capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "NODE_PATH": MODULES})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(name="judge", params=LIBRARIES)
def one_of_the_libraries(request):
    """judge([(secret, delivery), …]): for each None when it is accepted, else why not."""
    language, name = request.param.split()
    place = os.path.join(ROOT, "build/python" if language == "python" else MODULES, name)
    if not os.path.exists(place):
        pytest.skip(f"{request.param} could not be fetched")
    return by_python if language == "python" else lambda checks: by_node(name, checks)


def changed(delivery, body=None, **headers):
    new = {**delivery.headers, **{name.replace("_", "-"): text for name, text in headers.items()}}
    return dataclasses.replace(delivery, headers=new, body=body or delivery.body)


def sent_at(delivery, seconds, secret):
    """The same, signed rightly at another time: what somebody sends who kept an old request."""
    moved = changed(delivery, webhook_timestamp=str(seconds))
    return changed(moved, webhook_signature=signature(moved, secret))


def one_delivery(hub, sink):
    reply = hub.post({"event_type": "test.event", "payload": {"name": "ä\u2028", "n": [1.0, 1e2]}})
    assert reply.status == 202
    return sink.wait(1, "/a")[0]


def test_what_is_sent_is_accepted_and_what_was_changed_is_not(judge, hub, sink):
    one = hub()
    secret = made(Api(one), sink)["secret"]
    good = one_delivery(one, sink)
    now = int(time.time())
    accepted = [(secret, good), (secret, sent_at(good, now - 240, secret))]
    assert judge(accepted) == [None, None]
    flipped = bytes([good.body[0]]) + bytes([good.body[1] ^ 1]) + good.body[2:]
    refused = [
        (secret, changed(good, body=flipped)),
        (secret, changed(good, body=good.body + b" ")),
        (secret, changed(good, webhook_id=good.headers["webhook-id"][:-1] + "x")),
        (secret, changed(good, webhook_timestamp=str(now + 1))),
        (secret, sent_at(good, now - 3600, secret)),
        (secret, sent_at(good, now + 3600, secret)),
        (GIVEN, good),
    ]
    assert all(judge(refused)), judge(refused)


def test_in_a_rotation_old_and_new_receivers_accept(judge, hub, sink):
    one = hub()
    api = Api(one)
    mine = made(api, sink, secret=OTHER)
    new = api("POST", f"/subscribers/{mine['id']}/rotate-secret")["secret"]
    delivery = one_delivery(one, sink)
    assert judge([(OTHER, delivery), (new, delivery)]) == [None, None]
    assert all(judge([(GIVEN, delivery)]))
