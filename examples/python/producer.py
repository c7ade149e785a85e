"""A producer: publishes the orders of standard input, one JSON object per line, each once.

    EVENTHUB_URL=http://localhost:3000 EVENTHUB_API_KEY=ehk_… python3 producer.py < orders.ndjson

An answer may be lost after the hub has taken the event. So each event has an idempotency key, and
is sent again with the same key until the hub has answered: that never makes a second event.
"""
import email.utils
import http.client
import json
import os
import random
import sys
import time
import urllib.error
import urllib.request

URL = os.environ.get("EVENTHUB_URL", "http://localhost:3000") + "/events"
API_KEY = os.environ.get("EVENTHUB_API_KEY")  # none for a hub without keys
TIMEOUT_SECONDS = 10
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.2, 10
GIVE_UP_SECONDS = 600  # less than the hub remembers keys (24 h)


class Refused(Exception):
    """The hub will not take this event, however often it is sent."""


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """A POST that is redirected would become a GET."""

    def redirect_request(self, *_):
        return None


opener = urllib.request.build_opener(NoRedirects)


def publish(event, key):
    """Returns the id of the event."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    if API_KEY:
        headers["Authorization"] = f"Bearer {API_KEY}"
    # The bytes are made once: with the same key they have to be the same.
    request = urllib.request.Request(URL, json.dumps(event).encode(), headers)
    give_up = time.monotonic() + GIVE_UP_SECONDS
    wait = FIRST_WAIT_SECONDS
    while True:
        try:
            with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return json.load(answer)["event_id"]  # 202, or 200 when it was taken before
        except urllib.error.HTTPError as answer:
            reason, asked = f"{answer.code} {explanation(answer)}", retry_after(answer.headers)
            if answer.code < 500 and answer.code not in (408, 429):
                raise Refused(reason) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason, asked = error, 0  # no answer, or half of one: it may have been taken
        # Growing, so that a hub in trouble is left alone; by chance, so that producers do not come
        # back all at once; and not before the hub wants.
        pause = max(wait * random.uniform(0.5, 1), asked)
        if time.monotonic() + pause > give_up:
            raise TimeoutError(f"given up: {reason}")
        print(f"{key}: {reason}; again in {pause:.1f} s", file=sys.stderr)
        time.sleep(pause)
        wait = min(2 * wait, LONGEST_WAIT_SECONDS)


def explanation(answer):
    """What is wrong, as the hub's problem+json says it."""
    try:
        return json.load(answer)["detail"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return answer.reason


def retry_after(headers):
    """In seconds. The hub says seconds; a proxy before it may say a date."""
    text = headers.get("Retry-After", "")
    if text.isdigit():
        return int(text)
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() - time.time()
    except (TypeError, ValueError):
        return 0


def main():
    refused = 0
    for line in sys.stdin:
        order = json.loads(line)
        # The key is the order's own: when this program dies and runs again, it is still the same.
        key = f"order-{order['order']}-placed"
        try:
            print(key, publish({"event_type": "order.placed", "payload": order}, key), flush=True)
        except Refused as error:
            print(f"{key}: refused: {error}", file=sys.stderr)
            refused += 1
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
