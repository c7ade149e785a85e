"""Signing secrets and credentials of subscribers, from the API to the receiver."""
import base64

import pytest

from hub import wait_until
from load import PATIENCE
from sink import signature
from test_manage import Api, event, subscribe

GIVEN = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(name="api")
def one_hub(hub):
    return Api(hub())


def signed_by(delivery):
    return delivery.headers.get("webhook-signature", "").split()


def next_delivery(api, sink):
    count = len(sink.deliveries("/a"))
    assert api.hub.post(event()).status == 202
    return sink.wait(count + 1, "/a")[-1]


def made(api, sink, **columns):
    return api("POST", "/subscribers", {"name": "mine", "event_type": "test.event",
                                        "webhook_url": sink.url("/a"), **columns}, 201)


def test_a_made_secret_signs_and_is_rotated_with_overlap(api, sink):
    mine = made(api, sink)
    delivery = next_delivery(api, sink)
    assert signed_by(delivery) == [signature(delivery, mine["secret"])]
    path = f"/subscribers/{mine['id']}/rotate-secret"
    new = api("POST", path, {"overlap_seconds": 6})["secret"]

    def both():
        delivery = next_delivery(api, sink)
        return signed_by(delivery) == [signature(delivery, new),
                                       signature(delivery, mine["secret"])]

    def new_alone():
        delivery = next_delivery(api, sink)
        return signed_by(delivery) == [signature(delivery, new)]

    wait_until(both, 5, "both sign, the current one first")
    wait_until(new_alone, PATIENCE, "the former one has ended, although nobody touched the row")


def test_receivers_get_the_credentials_they_want(api, sink):
    mine = subscribe(api, sink, auth={"type": "basic", "username": "ann", "password": "pass:ä"},
                     headers={"X-Api-Key": "k"}, secret=None)
    delivery = next_delivery(api, sink)
    assert delivery.headers["authorization"] == "Basic " + base64.b64encode(
        "ann:pass:ä".encode()).decode()
    assert delivery.headers["x-api-key"] == "k" and not signed_by(delivery)
    api("PATCH", f"/subscribers/{mine}", {"auth": {"type": "bearer", "token": "abc"}})
    wait_until(lambda: next_delivery(api, sink).headers["authorization"] == "Bearer abc",
               PATIENCE)
    api("PATCH", f"/subscribers/{mine}", {"auth": None})
    wait_until(lambda: "authorization" not in next_delivery(api, sink).headers,
               PATIENCE)
