"""Roads that are cut, slow or swallow everything: to PostgreSQL and to the receivers."""
import subprocess

from nemesis.base import Fault, victim
from nemesis.processes import SENDS


class Link(Fault):
    """A process that reaches PostgreSQL over a proxy. `special`: the world puts proxies in."""
    special = "proxy"

    def run(self, world, rng, seconds, note):
        names = sorted(world.proxies)
        name = rng.choice(names) if names else None
        node = world.nodes.named(name) if name else None
        if node is None or node.busy:
            return
        node.busy = True
        try:
            note.begin(name, repeats=node.role == SENDS)
            self.strike(world, world.proxies[name], seconds, note)
        finally:
            world.nodes.give_back(node)

    def strike(self, world, proxy, seconds, note):
        raise NotImplementedError


class LinkCut(Link):
    """All its connections to PostgreSQL are closed, some times in a row."""
    name = "link-cut"
    lasts = (0.5, 1.5)

    def strike(self, world, proxy, seconds, note):
        for _ in range(3):
            note.hit(proxy.cut())
            world.rest(seconds / 3)


class LinkSilent(Link):
    """Nothing comes through any more, nothing is closed."""
    name = "link-silent"
    lasts = (3.0, 5.0)
    stale = True

    def strike(self, world, proxy, seconds, note):
        proxy.silence()
        note.hit()
        try:
            world.rest(seconds)
        finally:
            proxy.resume()


class Slow(Link):
    """PostgreSQL is slow: every piece takes 0.3 s in either direction."""
    name = "pg-slow"
    lasts = (3.0, 5.0)

    def strike(self, world, proxy, seconds, note):
        proxy.delay = 0.3
        note.hit()
        try:
            world.rest(seconds)
        finally:
            proxy.delay = 0


class SocketsKilled(Fault):
    """ss -K: the kernel ends connections of a process to PostgreSQL, or all to the receivers."""
    name = "socket-cut"
    lasts = (0.5, 1.5)
    repeats = True

    def missing(self, machine):
        return machine.namespace or machine.without("ss", "sockets are killed by ss -K")

    def run(self, world, rng, seconds, note):
        if rng.random() < 0.5:
            note.begin("receivers")
            where = ["dport", "=", f":{world.sink.port}"]
        else:
            number = rng.randrange(len(world.nodes.all))
            node = world.nodes.all[number]
            note.begin(node.name, repeats=node.role == SENDS)
            where = ["dst", world.address(number)]
        for _ in range(3):
            done = subprocess.run(["ss", "-K", "-H", "-t", *where], capture_output=True, text=True,
                                  check=False)
            note.hit(len(done.stdout.splitlines()))
            world.rest(seconds / 3)


class Partition(Fault):
    """Packets are dropped between one process and PostgreSQL, or between the hub and its receivers;
    both ways or one."""
    name = "partition"
    lasts = (2.5, 5.0)
    stale = True

    def missing(self, machine):
        return machine.namespace or machine.without("iptables", "packets are dropped by it")

    def run(self, world, rng, seconds, note):
        way = rng.choice(("both", "there", "back"))
        if rng.random() < 0.3:
            port = str(world.sink.port)
            note.begin(f"receivers, {way}", repeats=True)
            rules = {"there": ["-p", "tcp", "--dport", port],
                     "back": ["-p", "tcp", "--sport", port]}
            self._drop(world, rules, way, seconds, note)
            return
        with victim(world, rng, rng.choice((None, (SENDS,)))) as node:
            if node:
                note.begin(f"{node.name}, {way}", repeats=node.role == SENDS)
                address = world.address(world.nodes.all.index(node))
                rules = {"there": ["-p", "tcp", "-d", address],
                         "back": ["-p", "tcp", "-s", address]}
                self._drop(world, rules, way, seconds, note)

    @staticmethod
    def _drop(world, rules, way, seconds, note):
        chosen = [rule for name, rule in rules.items() if way in ("both", name)]
        try:
            for rule in chosen:
                subprocess.run(["iptables", "-w", "-I", "INPUT", *rule, "-j", "DROP"], check=True)
            world.rest(seconds)
            counted = subprocess.run(["iptables", "-w", "-nvxL", "INPUT"], capture_output=True,
                                     text=True, check=True).stdout
            note.hit(any(line.split()[0] != "0" for line in counted.splitlines()
                         if " DROP " in line))
        finally:
            for rule in chosen:
                subprocess.run(["iptables", "-w", "-D", "INPUT", *rule, "-j", "DROP"], check=False)


class Names(Fault):
    """The name server fails, denies or is silent; longer than an answer is remembered."""
    name = "dns"
    lasts = (3.0, 5.0)

    def run(self, world, rng, seconds, note):
        from names import NO_SUCH_NAME, SERVER_FAILURE, SILENT
        mood = rng.choice((NO_SUCH_NAME, SERVER_FAILURE, SILENT))
        note.begin({NO_SUCH_NAME: "no such name", SERVER_FAILURE: "failure",
                    SILENT: "silent"}[mood])
        before = sum(world.names.asked.values())
        world.names.mood = mood
        try:
            world.rest(seconds)
        finally:
            world.names.mood = None
        note.hit(sum(world.names.asked.values()) - before)
