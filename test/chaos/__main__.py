#!/usr/bin/python3
"""One run: a hub of eight processes under load while the nemesis is at work, then its judgement.

    python3 test/chaos --seed 7 --duration 45 --dir /tmp/run
    python3 test/chaos --check /tmp/run          judges the records of a run again
    python3 test/chaos --list                    faults, and why some cannot be done here

Exit 0: every invariant held. 1: one did not; its first witnesses are printed. 2: the run tested
nothing, or could not be made. test/chaos/README.md says more.
"""
import argparse
import json
import os
import random
import shutil
import signal
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]

from checker import judge, report  # noqa: E402
from records import read_all  # noqa: E402

NAMESPACE = "EVENTHUB_CHAOS_NAMESPACE"
NOTHING = 2


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--duration", type=float, default=45)
    parser.add_argument("--rate", type=float, default=60)
    parser.add_argument("--subscribers", type=int, default=8)
    parser.add_argument("--keys", type=int, default=24)
    parser.add_argument("--faults", default="")
    parser.add_argument("--dir")
    parser.add_argument("--check")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def enter_namespace():
    """A network and mounts of its own, so that nothing outside is touched and nothing is left."""
    if os.environ.get(NAMESPACE) or os.getuid() != 0:
        return
    if not all(map(shutil.which, ("unshare", "ip"))):
        return
    os.environ[NAMESPACE] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", "sh", "-c",
                          'ip link set lo up && exec "$@"', "sh", sys.executable, "-B",
                          os.path.abspath(__file__), *sys.argv[1:]])


def machine():
    from nemesis import Machine
    from world import FAKETIME, RELEASE
    return Machine(os.getuid() == 0, bool(os.environ.get(NAMESPACE)), os.path.exists(FAKETIME),
                   os.path.exists(RELEASE))


def chosen_faults(text):
    """Names; those that were asked for must be possible."""
    from nemesis import FAULTS, possible
    names, missing = possible(machine())
    if not text:
        for name, reason in missing.items():
            print(f"without {name}: {reason}")
        return names
    wanted = [] if text == "none" else text.split(",")
    for name in wanted:
        if name not in FAULTS:
            sys.exit(f"no fault {name}; there are {', '.join(sorted(FAULTS))}")
    for name in wanted:
        if name in missing:
            print(f"without {name}: {missing[name]}")
    names = [name for name in wanted if name not in missing]
    if wanted and not names:
        print("none of these faults can be done here: nothing to test")
        sys.exit(NOTHING)
    return names


def strike(world, steps, began):
    """The nemesis: each step at its time, in a thread of its own."""
    from nemesis import FAULTS
    from nemesis.base import Note
    threads = []
    for step in steps:
        world.healing.wait(max(0, began + step["at"] - time.monotonic()))
        if world.healing.is_set():
            break
        fault = FAULTS[step["fault"]]

        def run(fault=fault, step=step):
            note, error = Note(world.journals.faults, fault), None
            try:
                fault.run(world, random.Random(step["draw"]), step["for"], note)
            except Exception:  # a nemesis that fails tests nothing: the checker is told
                error = traceback.format_exc()
            note.end(error)
        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        if fault.alone:
            threads[-1].join(120)
    return threads


def run(options, names):
    from ending import drain, dump
    from plan import make, needs
    from records import Journals, write_run
    from watch import Watch
    from world import World
    steps = make(options.seed, options.duration, names)
    journals = Journals(options.dir)
    world = World(options, needs(steps), journals, bool(os.environ.get(NAMESPACE)))
    try:
        world.start()
        write_run(options.dir, {"seed": options.seed, "duration": options.duration,
                                "rate": options.rate, "keys": options.keys, "faults": names,
                                "plan": steps, **world.description()})
        watch = Watch(world.nodes, world.database, journals.processes)
        for node in world.nodes.all:
            watch.sample(node, phase="begin")
        watch.start()
        began = time.monotonic()
        traffic = world.traffic().start()
        threads = strike(world, steps, began)
        world.healing.wait(max(0, began + options.duration - time.monotonic()))
        world.healing.set()
        for thread in threads:
            thread.join(120)
        world.heal()
        journals.processes.write(kind="healed")
        traffic.stop()
        drain(world, watch)
        watch.stop()
        dump(world)
        world.nodes.stop_all()
        watch.logs()
        world.nodes.sanitizer_reports()
    finally:
        keep_logs(world, options.dir)
        world.close()
        journals.close()


def keep_logs(world, directory):
    for node in world.nodes.all if world.nodes else ():
        for kind in ("out", "err"):
            source = os.path.join(node.hub.directory, f"hub.{kind}")
            if os.path.exists(source):
                shutil.copy(source, os.path.join(directory, f"{node.name}.{kind}"))
        shutil.rmtree(node.hub.directory, ignore_errors=True)
    for number, server in enumerate(world.servers):
        with open(os.path.join(directory, f"postgres-{number}.log"), "w", encoding="utf-8") as file:
            file.write(server.log_text())


def check(directory):
    verdict = judge(read_all(directory))
    with open(os.path.join(directory, "verdict.json"), "w", encoding="ascii") as file:
        json.dump({"code": verdict.code, "counts": verdict.counts,
                   "violations": verdict.violations, "nothing": verdict.nothing}, file, indent=1)
    print(report(verdict))
    return verdict.code


def main():
    options = arguments()
    if options.check:
        return check(options.check)
    enter_namespace()
    names = chosen_faults(options.faults)
    if options.list:
        print("\n".join(names))
        return 0
    # Ended from outside: everything that was started ends too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(NOTHING))
    options.dir = options.dir or f"build/chaos/seed-{options.seed}"
    shutil.rmtree(options.dir, ignore_errors=True)
    os.makedirs(options.dir)
    try:
        run(options, names)
    except Exception:
        traceback.print_exc()
        print(f"seed {options.seed}: the run could not be made")
        return NOTHING
    return check(options.dir)


if __name__ == "__main__":
    sys.exit(main())
