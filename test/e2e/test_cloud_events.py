"""CloudEvents as the published SDK sends them."""
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
