"""A private PostgreSQL server for end-to-end tests, and databases on it.

    server = Postgres()                 # initdb in a temporary directory, unix socket only
    database = server.create_database()
    database.rows("SELECT 1")           # [(1,)]
    server.kill(); server.start()       # crash and recover
    server.close()                      # stops it and removes its files

As root the server runs as the user `postgres`, which owns its directory.
"""
import glob
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

import psycopg2

_numbers = itertools.count(1)
CANARY = "canary-Zk3vXq81"  # a password that nobody asks for; hub.py looks for it in logs


def newest_bin_dir():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[-2]))
    if not found:
        raise RuntimeError("no PostgreSQL server found in /usr/lib/postgresql")
    return found[-1]


class Postgres:
    """`settings` are postgresql.conf settings. fsync is off: a killed server loses nothing by it,
    only a killed machine would. `prepare(root)` is called before there is a cluster; `initdb` are
    further arguments, in which {root} is that directory."""

    def __init__(self, settings=None, prepare=None, initdb=()):
        self.root = tempfile.mkdtemp(prefix="eventhub-pg-")
        self.data = os.path.join(self.root, "data")
        self.socket_dir = self.root
        self.bin = newest_bin_dir()
        self.settings = {
            "listen_addresses": "", "unix_socket_directories": self.root, "fsync": "off",
            "max_connections": "200", "log_min_messages": "warning", "shared_buffers": "64MB",
        }
        self.settings.update(settings or {})
        self.user = None
        if os.getuid() == 0:
            self.user = pwd.getpwnam("postgres")
            os.chown(self.root, self.user.pw_uid, self.user.pw_gid)
        os.chmod(self.root, 0o755)
        if prepare:
            prepare(self.root)
        self._make(initdb)
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as file:
            for name, value in self.settings.items():
                file.write(f"{name} = '{value}'\n")
        self.process = None
        self.start()
        self._begin()

    def _make(self, initdb):
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                  "--locale=C", "--no-sync", *(one.format(root=self.root) for one in initdb))

    def _begin(self):
        with self.connect("postgres") as connection:
            connection.cursor().execute("CREATE ROLE eventhub LOGIN")

    @property
    def port(self):
        return int(self.settings.get("port", 5432))

    def _demote(self):
        if self.user:
            os.setgid(self.user.pw_gid)
            os.setuid(self.user.pw_uid)

    def _run(self, program, *arguments):
        subprocess.run([os.path.join(self.bin, program), *arguments], check=True, cwd="/",
                       stdout=subprocess.DEVNULL, preexec_fn=self._demote)

    def start(self, wait=20):
        with open(os.path.join(self.root, "server.log"), "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(self.bin, "postgres"), "-D", self.data], cwd="/", stdout=log,
                stderr=log, preexec_fn=self._demote, start_new_session=True)
        deadline = time.monotonic() + wait
        while True:
            try:
                self.connect("postgres").close()
                return
            except psycopg2.OperationalError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.05)

    def connect(self, name, user="postgres"):
        connection = psycopg2.connect(host=self.socket_dir, port=self.port, dbname=name, user=user,
                                      connect_timeout=10)
        connection.autocommit = True
        return connection

    def stop(self, mode="fast"):
        """fast or immediate shutdown; the files stay."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT if mode == "fast" else signal.SIGQUIT)
            self.process.wait(30)

    def kill(self):
        """kill -9 of the postmaster and all its processes at one instant."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        killed = self.pids()
        for pid in killed:
            _signal(pid, signal.SIGKILL)
        self.process.wait(30)
        # The next server does not start while one of them still holds the shared memory.
        deadline = time.monotonic() + 30
        while any(os.path.exists(f"/proc/{pid}") for pid in killed) and time.monotonic() < deadline:
            time.sleep(0.01)

    def pause(self):
        """SIGSTOP: sockets stay open, nothing answers. cont() undoes it."""
        for pid in self.pids():
            _signal(pid, signal.SIGSTOP)

    def cont(self):
        for pid in self.pids():
            _signal(pid, signal.SIGCONT)

    def pids(self):
        """The postmaster first, then its children."""
        found = [self.process.pid]
        try:
            path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
            with open(path, encoding="ascii") as file:
                found += [int(pid) for pid in file.read().split()]
        except OSError:
            pass
        return found

    def create_database(self, name=None):
        name = name or f"hub_{os.getpid()}_{next(_numbers)}"
        connection = self.connect("postgres")
        connection.cursor().execute(f'CREATE DATABASE "{name}" OWNER eventhub')
        connection.close()
        return Database(self, name)

    def log_text(self):
        path = os.path.join(self.root, "server.log")
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def close(self):
        self.cont()
        self.stop("immediate")
        shutil.rmtree(self.root, ignore_errors=True)


class Database:
    """One database; every query is its own transaction on one kept connection (reopened when
    lost), with search_path = eventhub."""

    def __init__(self, server, name):
        self.server = server
        self.name = name
        self._connection = None

    def environment(self):
        """The variables that point a hub here."""
        return {"DB_HOST": self.server.socket_dir, "DB_NAME": self.name, "DB_USER": "eventhub",
                "DB_PASSWORD": CANARY,
                "EVENTHUB_DATABASE_ALLOW_UNSAFE_DURABILITY": "true"}

    def connect(self):
        connection = self.server.connect(self.name, "eventhub")
        connection.cursor().execute("SET search_path = eventhub, public")
        return connection

    def rows(self, sql, *arguments):
        """All rows of a query as tuples ([] for a statement without rows); %s placeholders."""
        for attempt in (1, 2):
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = self.connect()
                cursor = self._connection.cursor()
                cursor.execute(sql, arguments or None)
                if cursor.description:
                    return cursor.fetchall()
                of_no_columns = cursor.statusmessage.startswith("SELECT")  # SELECT FROM ...
                return [()] * cursor.rowcount if of_no_columns else []
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                self._connection = None
                if attempt == 2:
                    raise
        return []

    def value(self, sql, *arguments):
        """First column of the first row, None when there is none."""
        found = self.rows(sql, *arguments)
        return found[0][0] if found else None

    def subscribe(self, url, event_type="test.event", **columns):
        """Inserts a subscriber, by default as plain as it can be; returns its sid."""
        row = {"name": url, "event_type": event_type, "webhook_url": url, "created_by": "test"}
        row.update(columns)
        names = ", ".join(row)
        marks = ", ".join(["%s"] * len(row))
        return self.value(f"INSERT INTO subscribers ({names}) VALUES ({marks}) RETURNING sid",
                          *row.values())

    def states(self, sid=None):
        """{state: count} over message_status."""
        where, arguments = ("WHERE sid = %s", (sid,)) if sid is not None else ("", ())
        return dict(self.rows(
            f"SELECT state, count(*) FROM message_status {where} GROUP BY state", *arguments))

    def drained(self):
        """Every event fanned out and every message ended: delivered, dead or cancelled. Quicker
        with many messages than states()."""
        return self.value("""
            SELECT (SELECT cursor FROM sequencer)
                   >= (SELECT coalesce(max(event_seq), 0) FROM events)
              AND NOT EXISTS (SELECT FROM redeliveries)
              AND NOT EXISTS (SELECT FROM messages m WHERE NOT EXISTS (
                SELECT FROM delivery_attempts d WHERE d.event_seq = m.event_seq AND d.sid = m.sid
                  AND d.outcome NOT IN (2, 4)))""")

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
