#!/usr/bin/env python3
"""Searches the models beside it with spin and holds them to the table in README.md.

    test/models/check.py [--trace] [--headers] [WORD...]

With words only the configurations in which one of them is. --trace shows how a property breaks;
--headers only looks whether the headers of the models are true.
"""
import argparse
import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import headers  # noqa: E402

COMPILER = os.environ.get("CC", "clang-16")
DEPTH_MAX = 1_000_000
SECONDS_MAX = 300


@dataclasses.dataclass
class Configuration:
    model: str
    defines: list
    breaks: str  # the property, "" for none
    what: str

    def __str__(self):
        return " ".join([self.model, *self.defines])

    def flags(self):
        return ["-D" + define for define in self.defines]


@dataclasses.dataclass
class Search:
    output: str
    fault: str = ""
    unreached: set = dataclasses.field(default_factory=set)

    def number(self, pattern):
        match = re.search(pattern, self.output, re.M)
        return float(match[1]) if match else 0


def source_of(configuration):
    return os.path.join(HERE, configuration.model + ".pml")


def configurations():
    with open(os.path.join(HERE, "README.md"), encoding="utf-8") as file:
        rows = re.findall(r"^\| (\w+) \| (?:`([^`]+)`)? ?\| (P\d)? ?\| (.+) \|$", file.read(), re.M)
    return [Configuration(model, defines.split(), breaks, what)
            for model, defines, breaks, what in rows]


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False,
                          timeout=SECONDS_MAX)
    return done.returncode, done.stdout + done.stderr


def spin(configuration, *options):
    preprocessor = f"-P{COMPILER} -E -x c"
    return ["spin", preprocessor, *options, *configuration.flags(), source_of(configuration)]


def build(configuration, folder):
    """Without optimization: that would take longer than it saves."""
    cached = ["ccache", COMPILER] if shutil.which("ccache") else [COMPILER]
    options = ["-w", "-DSAFETY", "-DNOREDUCE", *(["-DBFS"] if configuration.breaks else [])]
    for command in (spin(configuration, "-a"),
                    [*cached, "-O0", *options, "-c", "pan.c", "-o", "pan.o"],
                    [COMPILER, "pan.o", "-o", "pan"]):
        code, output = run(command, folder)
        if code != 0:
            return output
    return ""


def search(configuration, folder):
    """A property that breaks is looked for breadth first, which gives the shortest way there."""
    fault = build(configuration, folder)
    if fault:
        return Search(fault, "it does not compile:\n" + fault)
    # A table that grows: the default would be 128 MB for each.
    code, output = run(["./pan", "-E", "-w20", f"-m{DEPTH_MAX}"], folder)
    found = Search(output)
    if code != 0 or "states, stored" not in output:
        found.fault = "the search failed:\n" + output
    elif configuration.breaks:
        found.fault = wrong_break(configuration, found, folder)
    else:
        found.fault = wrong_proof(found)
        found.unreached = set(re.findall(r'^\s+(\S+?\.pml:\d+, state \d+, ".*")$', output, re.M))
    return found


def wrong_proof(found):
    if "errors: 0" not in found.output:
        return "a property breaks:\n" + found.output
    for sign in ("max search depth too small", "Search not completed", "out of memory"):
        if sign in found.output:
            return "the search is not complete: " + sign
    return ""


def wrong_break(configuration, found, folder):
    if "errors: 1" not in found.output:
        return f"nothing breaks, {configuration.breaks} should"
    broken = broken_property(configuration, replay(configuration, folder))
    if broken == configuration.breaks:
        return ""
    return f"{broken} breaks instead of {configuration.breaks}"


def replay(configuration, folder):
    return run(spin(configuration, "-t", "-k", configuration.model + ".pml.trail", "-p"), folder)[1]


def lines_of(configuration):
    with open(source_of(configuration), encoding="utf-8") as file:
        return ["", *file.read().splitlines()]


def broken_property(configuration, steps):
    """The assertion that failed names its property in its line."""
    failed = re.search(r"\.pml:(\d+), Error: assertion violated", steps)
    named = failed and re.search(r"/\* (P\d) \*/", lines_of(configuration)[int(failed[1])])
    return named[1] if named else "something else"


def show(configuration, folder):
    lines, last = lines_of(configuration), ""
    way = replay(configuration, folder).partition("Error: assertion violated")[0]
    steps = re.findall(r"^\s*(\d+):\s+proc\s+(\d+) \((\w+):\d+\) \S+?:(\d+) ", way, re.M)
    for step, process, name, line in steps:
        shown = f"  {process} {name:10} {line:>4}: {lines[int(line)].strip()}"
        if shown != last:
            print(f"{step:>5}{shown}")
        last = shown


def report(configuration, found):
    result = configuration.breaks + " breaks" if configuration.breaks else "holds"
    if found.fault:
        result = "FAILED"
    states = int(found.number(r"^\s*(\d+) states, stored"))
    depth = int(found.number(r"depth reached (\d+)"))
    memory = found.number(r"^\s*([\d.]+)\s+total actual memory usage")
    seconds = found.number(r"elapsed time ([\d.]+) seconds")
    print(f"{str(configuration):46} {result:10} {states:>9,} states  depth {depth:>6,}"
          f"  {seconds:6.2f} s  {memory:6.1f} MB", flush=True)
    if found.fault:
        print(f"FAILED: {configuration}: {found.fault}")


def never_reached(chosen, unreached):
    """What no complete search of a model ever came to proves nothing."""
    wrong = []
    for model in sorted({c.model for c in chosen}):
        sets = unreached.get(model, [])
        if len(sets) == sum(c.model == model and not c.breaks for c in configurations()):
            wrong += [f"{model}: never reached: {place}"
                      for place in sorted(set.intersection(*sets)) if "-end-" not in place]
    return wrong


def check(chosen, trace):
    wrong, unreached = [], {}
    for configuration in chosen:
        with tempfile.TemporaryDirectory(prefix="eventhub-models-") as folder:
            found = search(configuration, folder)
            report(configuration, found)
            if trace and configuration.breaks and not found.fault:
                show(configuration, folder)
        if found.fault:
            wrong.append(str(configuration))
        elif not configuration.breaks:
            unreached.setdefault(configuration.model, []).append(found.unreached)
    dead = never_reached(chosen, unreached)
    for message in dead:
        print("FAILED: " + message)
    return len(wrong) + len(dead)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trace", action="store_true", help="show how a property breaks")
    parser.add_argument("--headers", action="store_true", help="look at the headers only")
    parser.add_argument("words", nargs="*", help="of the configurations to search")
    given = parser.parse_args()
    chosen = [c for c in configurations()
              if not given.words or any(word in str(c).split() for word in given.words)]
    if not chosen:
        parser.error("no configuration has this word")
    faults = headers.faults(configurations())
    for fault in faults:
        print(fault)
    if given.headers:
        print(f"models: {len(faults)} wrong" if faults else "models: what the headers say is so")
        return 1 if faults else 0
    failed = check(chosen, given.trace)
    print(f"models: {len(chosen)} configurations, {failed} wrong")
    return 1 if faults or failed else 0


if __name__ == "__main__":
    sys.exit(main())
