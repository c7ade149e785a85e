"""CloudEvents as the published SDK sends them."""
import json
import os
import sys
from datetime import datetime, timezone

import pytest

from hub import ROOT
from load import PATIENCE


@pytest.fixture(name="sdk")
def published_sdk():
    """scripts/install-dependencies --test fetches it; only without the network it may be absent."""
    sys.path.append(os.path.join(ROOT, "build/python"))
    try:
        return pytest.importorskip("cloudevents.core.bindings.http",
                                   reason="PyPI could not be reached")
    finally:
        sys.path.pop()


def test_the_published_sdks_events_are_delivered(hub, database, sink, sdk):
    from cloudevents.core.v1.event import CloudEvent  # pylint: disable=import-outside-toplevel
    one = hub()
    database.subscribe(sink.url("/a"), "order.*", body="envelope")
    attributes = {"specversion": "1.0", "type": "order.placed", "source": "/shop/ä 1",
                  "datacontenttype": "application/json", "subject": "100 % \"new\"",
                  "time": datetime.now(timezone.utc), "organizationid": "org 1", "userid": "ü"}
    events = [CloudEvent({**attributes, "id": f"order-{n}"}, {"n": n, "name": "ä"})
              for n in range(2)]
    messages = [sdk.to_binary_event(events[0]), sdk.to_structured_event(events[1])]
    ids = []
    for message in messages:
        for status in (202, 200):
            reply = one.request("POST", "/events", message.body, dict(message.headers))
            assert reply.status == status, reply.body
            ids.append(reply.json()["event_id"])
    assert ids[0] == ids[1] != ids[2] == ids[3]
    got = [delivery.json() for delivery in sink.wait(2, "/a", PATIENCE)]
    assert sorted(body["data"]["n"] for body in got) == [0, 1]
    for body in got:
        assert (body["type"], body["organization_id"], body["user_id"]) == (
            "order.placed", "org 1", "ü")
        assert body["data"]["name"] == "ä"
    # What was binary may come again structured: the key is the same.
    other = sdk.to_structured_event(events[0])
    assert one.request("POST", "/events", other.body, dict(other.headers)).status == 200


def test_the_published_sdk_reads_what_is_delivered(hub, database, sink, sdk):
    one = hub()
    event = {"event_type": "order.placed", "version": "v 2", "organization_id": "org % \"1\"",
             "user_id": "ü", "payload": {"n": 1.5, "name": "ä"}}
    for mode in ("binary", "structured"):
        database.subscribe(sink.url(f"/{mode}"), "order.*", body=f"cloudevents_{mode}")
    posted = one.post(event).json()["event_id"]
    for mode, media in (("binary", "application/json"),
                        ("structured", "application/cloudevents+json")):
        delivery, = sink.wait(1, f"/{mode}", PATIENCE)
        assert delivery.headers["content-type"] == media
        read = sdk.from_http_event(sdk.HTTPMessage(dict(delivery.headers), delivery.body))
        assert read.get_data() == event["payload"]
        attributes = read.get_attributes()
        assert {name: attributes[name] for name in (
            "specversion", "id", "source", "type", "eventversion", "organizationid", "userid",
            "datacontenttype")} == {
                "specversion": "1.0", "id": posted, "source": "/eventhub", "type": "order.placed",
                "eventversion": "v 2", "organizationid": "org % \"1\"", "userid": "ü",
                "datacontenttype": "application/json"}
        assert abs(datetime.now(timezone.utc) - attributes["time"]).total_seconds() < 600
        assert json.dumps(event["payload"]).encode() in delivery.body
