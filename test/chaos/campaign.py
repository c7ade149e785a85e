"""Many runs, one after the other; scripts/chaos calls it."""
import argparse
import collections
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PASSED_ON = ("duration", "rate", "subscribers", "keys", "faults")
GRACE = 900  # seconds beyond the duration after which a run is stuck


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/chaos")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--hours", type=float)
    parser.add_argument("--duration", default="45")
    parser.add_argument("--dir", default="build/chaos")
    for name in PASSED_ON[1:]:
        parser.add_argument(f"--{name}")
    return parser.parse_args()


def seeds(options):
    if options.hours is None:
        yield from range(options.first, options.first + options.seeds)
        return
    until = time.monotonic() + options.hours * 3600
    while time.monotonic() < until:
        yield random.SystemRandom().randrange(1, 1 << 31)


def run(command, limit):
    """(exit code, output); what hangs is ended."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          start_new_session=True) as process:
        try:
            output, _ = process.communicate(timeout=limit)
        except (subprocess.TimeoutExpired, KeyboardInterrupt) as stopped:
            os.killpg(process.pid, signal.SIGTERM)
            output, _ = process.communicate()
            if isinstance(stopped, KeyboardInterrupt):
                raise
            return 2, output + f"stuck for more than {limit:.0f} s\n"
        return process.returncode, output


def one(seed, options, total):
    """Runs a seed; its exit code."""
    directory = os.path.join(options.dir, f"seed-{seed}")
    command = ["/usr/bin/python3", "-B", os.path.relpath(HERE), "--seed", str(seed), "--dir",
               directory]
    for name in PASSED_ON:
        value = getattr(options, name)
        if value is not None:
            command += [f"--{name}", value]
    code, output = run(command, float(options.duration) + GRACE)
    try:
        with open(os.path.join(directory, "verdict.json"), encoding="ascii") as file:
            total.update(json.load(file)["counts"])
    except (OSError, ValueError):
        code = code or 2
    if code == 0:
        print(output.rstrip().splitlines()[-1], flush=True)
        shutil.rmtree(directory, ignore_errors=True)
    else:
        print(f"{output.rstrip()}\nrecords: {directory}\nrepeat: {shlex.join(command)}", flush=True)
    return code


def main():
    options = arguments()
    total, codes = collections.Counter(), collections.Counter()
    try:
        for seed in seeds(options):
            codes[one(seed, options, total)] += 1
    except KeyboardInterrupt:
        print("interrupted")
    del total["kinds"]  # does not add up
    numbers = ", ".join(f"{value} {name}" for name, value in total.items())
    print(f"{sum(codes.values())} seeds: {codes[0]} valid, {codes[1]} violated, {codes[2]} tested "
          f"nothing: {numbers}")
    if codes[1]:
        return 1
    return 0 if codes[0] == sum(codes.values()) > 0 else 2


if __name__ == "__main__":
    sys.exit(main())
