#!/usr/bin/env python3
"""Holds the sources to the rules of docs/architecture.md and CONTRIBUTING.md.

    test/style/check.py            all files that git knows (or would)
    test/style/check.py --selftest every rule fires on a bad sample and is quiet on a good one

A rule is a function (path, text) -> [(line, what is wrong)]. rules.py has the rules, samples.py the
samples.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rules import RULES  # noqa: E402
from samples import SAMPLES  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIPPED = ("build/", ".git/", ".cache/")


def tracked_files():
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    git = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if git.returncode == 0 and git.stdout:
        return sorted(set(git.stdout.splitlines()))
    found = []  # an unpacked archive
    for folder, _, names in os.walk(ROOT):
        found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in names]
    return sorted(path for path in found if not path.startswith(SKIPPED))


def check_files():
    wrong = 0
    for path in tracked_files():
        full = os.path.join(ROOT, path)
        if not os.path.isfile(full):
            continue
        try:
            with open(full, encoding="utf-8") as file:
                text = file.read()
        except UnicodeDecodeError:
            continue
        for rule in RULES:
            for line, message in rule(path, text):
                print(f"{path}:{line}: {message} [{rule.__name__}]")
                wrong += 1
    print(f"{wrong} deviations" if wrong else "style: all files keep the rules")
    return wrong


def selftest():
    wrong = 0
    for rule in RULES:
        if rule.__name__ not in SAMPLES:
            print(f"{rule.__name__}: no sample")
            wrong += 1
            continue
        for path, text, expected in SAMPLES[rule.__name__]:
            found = bool(rule(path, text))
            if found != expected:
                print(f"{rule.__name__}: {'silent on' if expected else 'fires on'} {path}:\n{text}")
                wrong += 1
    print(f"{wrong} rules do not work" if wrong else f"style: {len(RULES)} rules work")
    return wrong


if __name__ == "__main__":
    sys.exit(1 if (selftest() if "--selftest" in sys.argv else check_files()) else 0)
