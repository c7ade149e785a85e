"""A receiver: checks each signature, keeps each message once, answers, and works on it afterwards.

    WEBHOOK_SECRET=whsec_… python3 receiver.py

Received messages are rows of a SQLite table (INBOX, inbox.sqlite), committed before the answer:
what has been answered with 2xx is not sent again, so from then on only this table has it. The same
table tells which messages are repetitions. docs/receivers.md says why.
"""
import http.server
import json
import os
import signal
import sqlite3
import sys
import threading
import time

from standardwebhooks import Webhook, WebhookVerificationError

BODY_BYTES_MAX = 2 * 1024 * 1024  # the hub takes payloads of 1 MiB; the envelope adds a little
KEEP_SECONDS = 40 * 86_400  # longer than the hub's dead letters can be sent again (30 days)
PAUSE_AFTER_ERROR_SECONDS = 5


def work(event):
    """What this service does with an event. It may be called twice for one that was under way when
    the process died."""
    time.sleep(float(os.environ.get("WORK_SECONDS", "0")))  # stands for what takes its time
    print(event["type"], event["id"], json.dumps(event["data"]), flush=True)


class Inbox:
    """The messages received, one row each, also after their work is done."""

    def __init__(self, path):
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript("""
            CREATE TABLE IF NOT EXISTS inbox (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
                                              body BLOB, received_at REAL NOT NULL);
            CREATE INDEX IF NOT EXISTS inbox_not_done ON inbox (n) WHERE body IS NOT NULL;
            CREATE INDEX IF NOT EXISTS inbox_received_at ON inbox (received_at);""")

    def add(self, message_id, body):
        """Committed when it returns; a message that is there already is left alone."""
        with self._lock:
            self._db.execute("INSERT OR IGNORE INTO inbox (id, body, received_at) VALUES (?, ?, ?)",
                             (message_id, body, time.time()))

    def oldest(self):
        """(n, body) of the oldest that is not done, or None."""
        with self._lock:
            return self._db.execute("SELECT n, body FROM inbox WHERE body IS NOT NULL "
                                    "ORDER BY n LIMIT 1").fetchone()

    def done(self, number):
        """Forgets the body, and ids that cannot come again."""
        with self._lock:
            self._db.execute("UPDATE inbox SET body = NULL WHERE n = ?", (number,))
            self._db.execute("DELETE FROM inbox WHERE body IS NULL AND received_at < ?",
                             (time.time() - KEEP_SECONDS,))


class Receiver(http.server.ThreadingHTTPServer):
    daemon_threads = False  # server_close() waits for the requests that are being answered

    def __init__(self, port, webhook, inbox):
        super().__init__(("127.0.0.1", port), Handler)  # a proxy with TLS stands before it
        self.webhook = webhook
        self.inbox = inbox
        self.received = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    timeout = 10  # seconds for a client that sends nothing

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            return self.answer(411)
        if int(length) > BODY_BYTES_MAX:
            return self.answer(413)
        body = self.rfile.read(int(length))
        try:
            # Over the bytes as they came: JSON that was read and written again has another
            # signature. ValueError is what the library raises for headers that are no signature.
            event = self.server.webhook.verify(body, self.headers)
        except (WebhookVerificationError, ValueError):
            return self.answer(401)
        if not isinstance(event, dict) or "type" not in event:
            return self.answer(400)  # no envelope: the subscriber is not set up for us
        try:
            # By webhook-id, which is signed. X-Message-Id says the same, but anybody can change it.
            self.server.inbox.add(self.headers["webhook-id"], body)
        except sqlite3.Error as error:
            print("the inbox:", error, file=sys.stderr)
            return self.answer(503, {"Retry-After": "5"})
        self.answer(204)  # also for a repetition: the hub wants to hear that we have it
        self.server.received.set()

    def answer(self, status, headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        """No line for each request."""


def work_through(inbox, received, stop):
    """One by one, in the order of arrival."""
    while True:
        received.clear()
        if stop.is_set():
            return
        try:
            message = inbox.oldest()
            if message is not None:
                number, body = message
                work(json.loads(body))
                inbox.done(number)
        except Exception as error:  # nobody sends it again: try until it works, or a person looks
            print("not done, will be tried again:", error, file=sys.stderr)
            stop.wait(PAUSE_AFTER_ERROR_SECONDS)
        else:
            if message is None:
                received.wait()


def main():
    secret = os.environ.get("WEBHOOK_SECRET")
    if not secret:
        sys.exit("WEBHOOK_SECRET has to be the subscriber's secret, whsec_…")
    inbox = Inbox(os.environ.get("INBOX", "inbox.sqlite"))
    server = Receiver(int(os.environ.get("PORT", "8080")), Webhook(secret), inbox)
    stop = threading.Event()
    worker = threading.Thread(target=work_through, args=(inbox, server.received, stop))
    worker.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"listening on http://127.0.0.1:{server.server_port}/", file=sys.stderr)
    server.serve_forever()   # until then
    server.server_close()    # the requests that have begun are answered
    stop.set()
    server.received.set()
    worker.join()            # and the work that has begun is done; the rest waits in the inbox


if __name__ == "__main__":
    main()
