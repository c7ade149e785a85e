"""Everything a run is made of: PostgreSQL, the hub's processes, producers, receivers, name server;
and what the faults of its plan need besides."""
import os
import shutil
import subprocess
import tempfile
import threading

import psycopg2

from hub import ROOT, wait_until
from load import PATIENCE, SANITIZED, wait_balanced
from names import NameServer
from nemesis.resources import FakeClock
from nodes import IDLE_MS, SETTINGS, Nodes
from postgres import Postgres
from profiles import profiles
from proxy import Proxy
from receivers import SECRET, Receivers
from traffic import Traffic

TMPFS_MIB = 300
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
RELEASE = os.path.join(ROOT, "build/release/eventhubd")
PROXIED = ("api-1", "fanout-0", "dispatcher-0", "dispatcher-1")
CLOCKED = ("dispatcher-1", "api-1")


class Standby(Postgres):
    """A copy that follows `primary` and answers on a port of its own."""

    def __init__(self, primary):
        self._primary = primary
        settings = {**primary.settings, "port": str(primary.port + 1), "hot_standby": "on",
                    "synchronous_standby_names": ""}
        del settings["unix_socket_directories"]  # its own
        super().__init__(settings)

    def _make(self, initdb):
        self._run("pg_basebackup", "-h", self._primary.socket_dir, "-p", str(self._primary.port),
                  "-U", "postgres", "-D", self.data, "-R", "-X", "stream", "-c", "fast")

    def _begin(self):
        """It has the roles of its primary."""

    def promote(self):
        with self.connect("postgres") as connection:
            connection.cursor().execute("SELECT pg_promote(true, 60)")


def mount_data(root):
    """The data on a small file system of its own."""
    data = os.path.join(root, "data")
    os.mkdir(data)
    options = f"size={TMPFS_MIB}m,uid=postgres,gid=postgres,mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", data], check=True)


class World:
    """`namespace`: the run has a network and mounts of its own."""

    def __init__(self, options, plan_needs, journals, namespace):
        self.options, self.needs, self.namespace = options, plan_needs, namespace
        self.journals = journals
        self.healing = threading.Event()     # faults end now
        self.closing = threading.Event()
        self.postgres_lock = threading.Lock()
        self.subscribers = profiles(options.subscribers)
        self.names = NameServer()
        self.sink = Receivers(options.seed, self.subscribers, journals.sink)
        self.directory = tempfile.mkdtemp(prefix="eventhub-chaos-")
        os.chmod(self.directory, 0o755)
        self.servers, self.proxies, self.clocks = [], {}, {}
        self.server = self.database = self.nodes = None
        self.sids = []

    def start(self):
        self.server = self._make_server()
        self.database = self.server.create_database()
        if "standby" in self.needs:
            self._add_standby()
        self.nodes = Nodes(self.journals.processes, self._environment, self._wrap)
        self.nodes.all[0].start(ready=True)  # it makes the schema
        for index, profile in enumerate(self.subscribers):
            self.sids.append(self._subscribe(index, profile))
        for node in self.nodes.all[1:]:
            node.start()
        for node in self.nodes.all:
            node.hub.wait_ready(PATIENCE)
        wait_balanced(self.database, 3)
        threading.Thread(target=self.nodes.look_after, args=(self.closing,), daemon=True).start()
        return self

    def traffic(self):
        return Traffic(self.options.seed, self.nodes.ports(), self.options.rate, self.options.keys,
                       self.journals.producer, give_up=2 * PATIENCE)

    def rest(self, seconds):
        """A fault's wait; cut short when all heals."""
        self.healing.wait(seconds)

    def address(self, number):
        """Where process `number` finds PostgreSQL: an address of its own, so that its packets can
        be told from the others'."""
        return f"127.0.1.{number + 1}"

    def fail_over(self):
        old, self.server = self.server, self.servers[1]
        old.stop("immediate")
        self.server.promote()
        self.database.server = self.server

    def heal(self):
        """Nothing is disturbed any more."""
        self.healing.set()
        with self.postgres_lock:
            self.sink.override.clear()
            self.names.mood = None
            for proxy in self.proxies.values():
                proxy.delay = 0
                proxy.resume()
            for clock in self.clocks.values():
                clock.jump(0)
            self.server.cont()
            if self.server.process.poll() is not None:
                self.server.start(wait=90)
        self.nodes.heal()
        for node in self.nodes.all:
            wait_until(lambda n=node: self._ready(n), PATIENCE, f"{node.name} is ready")

    @staticmethod
    def _ready(node):
        try:
            return node.hub.request("GET", "/readyz", timeout=5).status == 200
        except OSError:
            return False

    def close(self):
        self.closing.set()
        self.healing.set()
        for node in self.nodes.all if self.nodes else ():
            if node.hub.alive:
                node.kill()
        for server in self.servers:
            server.close()
            if "tmpfs" in self.needs:
                subprocess.run(["umount", "-l", server.data], check=False)
                shutil.rmtree(server.root, ignore_errors=True)
        shutil.rmtree(self.directory, ignore_errors=True)
        for proxy in self.proxies.values():
            proxy.close()
        self.names.close()
        self.sink.close()

    def description(self):
        """What the checker has to know of the settings."""
        return {
            "timeout": float(SETTINGS["WEBHOOK_TIMEOUT_MS"]) / 1000,
            "dead_after": float(SETTINGS["EVENTHUB_DISPATCHER_DEAD_NODE_AFTER_MS"]) / 1000,
            "idle": IDLE_MS / 1000, "sanitized": SANITIZED,
            "connections": int(SETTINGS["DB_MAX_CONNECTIONS"]) * len(self.nodes.all),
            "subscribers": [
                {"sid": sid, "path": f"/{index}", "name": one.name, "patterns": one.patterns,
                 "guarantee": one.guarantee, "ordering": one.ordering, "signed": one.secret,
                 "named": one.named, "retry_limit": one.retry_limit, "backoff": one.backoff,
                 "hangs": any(answer in one.answers for answer in ("hang", "drip"))}
                for index, (sid, one) in enumerate(zip(self.sids, self.subscribers))]}

    def _make_server(self):
        settings = {"log_min_messages": "warning"}
        if self.namespace:
            settings["listen_addresses"] = "*"
        if "tmpfs" in self.needs:
            made = Postgres(settings, mount_data, ("--waldir", "{root}/wal"))
        else:
            made = Postgres(settings)
        self.servers.append(made)
        return made

    def _add_standby(self):
        standby = Standby(self.server)
        self.servers.append(standby)
        wait_until(lambda: self._follows(), PATIENCE, "the standby follows")
        connection = self.server.connect("postgres")
        connection.autocommit = True  # ALTER SYSTEM is no part of a transaction
        cursor = connection.cursor()
        cursor.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        cursor.execute("SELECT pg_reload_conf()")
        connection.close()
        wait_until(lambda: self._follows("sync"), PATIENCE, "the standby is synchronous")

    def _follows(self, state=None):
        try:
            with self.server.connect("postgres") as connection:
                cursor = connection.cursor()
                cursor.execute("SELECT sync_state FROM pg_stat_replication WHERE state = "
                               "'streaming'")
                return any(state in (None, row[0]) for row in cursor.fetchall())
        except psycopg2.Error:
            return False

    def _environment(self, number):
        return {"EVENTHUB_WEBHOOK_DNS_SERVERS": self.names.address,
                **self.database.environment(), **self._road(number)}

    def _road(self, number):
        if not self.namespace:
            return {}
        if "standby" in self.needs:
            hosts = ",".join(f"{self.address(number)}:{server.port}" for server in self.servers)
            return {"DATABASE_URL": f"postgresql://eventhub:unused@{hosts}/{self.database.name}"
                                    "?target_session_attrs=read-write"}
        return {"DB_HOST": self.address(number)}

    def _wrap(self, name):
        more, binary = {}, None
        if "proxy" in self.needs and name in PROXIED:
            self.proxies[name] = Proxy(self.server)
            more.update(self.proxies[name].environment())
        if "clock" in self.needs and name in CLOCKED:
            clock = FakeClock(os.path.join(self.directory, f"clock-{name}"), FAKETIME)
            self.clocks[name] = clock
            more.update(clock.environment)
            binary = RELEASE if SANITIZED else None
        return more, binary

    def _subscribe(self, index, profile):
        host = f"s{index}.live.test" if profile.named else "127.0.0.1"
        columns = {"retry_limit": profile.retry_limit,
                   "retry_backoff_seconds": list(profile.backoff),
                   "delivery_guarantee": profile.guarantee,
                   "event_types": list(profile.patterns)}
        if profile.ordering:
            columns.update(ordering_enabled=True, ordering_key=profile.ordering)
        if profile.secret:
            columns["secret"] = f"whsec_{SECRET}"
        return self.database.subscribe(f"http://{host}:{self.sink.port}/{index}", None, **columns)
