#!/usr/bin/env python3
"""What an event costs the hub, held to the figures in figures.txt. The tests guard_allocations and
guard_instructions:

    check.py allocations PROGRAM             heap allocations per event, in any build
    check.py instructions PROGRAM COMPILER   instructions per event, as valgrind's callgrind counts

A figure above the committed one by more than its margin fails; one below it by more says so and
passes. EVENTHUB_UPDATE=1 writes what was found into figures.txt. Ends with 77 (skipped) where the
figures say nothing: another compiler, another processor, other libraries, no valgrind.

Nothing here measures time. What could still differ from run to run is taken away: one thread, no
input or output, the same input each time, a warm-up; the libraries that choose code by the
processor (glibc, OpenSSL, simdjson) are held to what every x86-64 has.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

FIGURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "figures.txt")
PATHS = ("parse", "access", "accept", "fanout", "delivery")
# OpenSSL's hashing apart: it would be half of some sums and hide what happens in the rest.
COLUMNS = {"allocations": ("allocations",), "instructions": ("instructions", "openssl")}
ALL = ("allocations", "instructions", "openssl")
MARGIN = {"allocations": 0.02, "instructions": 0.05, "openssl": 0.05}
DIGITS = {"allocations": 1, "instructions": 0, "openssl": 0}
COMPILER = r"Clang 16\..* x86_64"
RELEASE = "12"  # of Debian
SKIPPED = 77
HEADER = """\
# What an event costs, of the path delivery per message: allocations on the heap, instructions
# without those in OpenSSL, and those. Instructions: clang-16 -O2, x86-64, libraries of Debian 12.
# test/guard/check.py reads and writes this; CONTRIBUTING.md says what to do when it is red.
"""
# Nothing else: the size of the environment moves the stack, and that costs a copy here or there.
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX_Fast_Unaligned_Load,-AVX512F,-AVX512VL,"
                      "-AVX512BW,-ERMS,-FSRM,-SSE4_2,-SSSE3,-BMI2,-MOVBE",
    "OPENSSL_ia32cap": "~0x1000000000000000:0",  # no AVX; nothing newer, SHA instructions included
}


class Skip(Exception):
    pass


def read_figures():
    figures = {}
    if os.path.exists(FIGURES):
        with open(FIGURES, encoding="utf-8") as file:
            for line in file:
                if line.strip() and not line.startswith("#"):
                    path, *numbers = line.split()
                    figures[path] = dict(zip(ALL, map(float, numbers)))
    return figures


def write_figures(figures):
    with open(FIGURES, "w", encoding="utf-8") as file:
        file.write(HEADER)
        for path in PATHS:
            numbers = figures.get(path, {})
            file.write(f"{path:<10}" + "".join(
                f"{numbers.get(column, 0):>9.{DIGITS[column]}f}" for column in ALL) + "\n")


def run(command, folder=None, environment=None):
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder,
                          env=environment)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout, done.stderr


def count_allocations(program, path):
    output, _ = run([program, path])
    _, total, units = output.split()
    return {"allocations": int(total) / int(units)}


def by_library(profile):
    """Callgrind's own cost of each binary: {its path: instructions}."""
    names, costs = {}, {}
    binary, of_callee = None, False
    for line in profile:
        named = re.match(r"c?ob=(\(\d+\))(?: (.*))?", line)
        if named:
            names.setdefault(named[1], named[2])
            if line.startswith("ob="):
                binary = names[named[1]]
        elif line.startswith("calls="):
            of_callee = True
        elif re.match(r"[\d+*-]", line):
            if not of_callee:
                costs[binary] = costs.get(binary, 0) + int(line.split()[-1])
            of_callee = False
    return costs


def count_instructions(program, path):
    with tempfile.TemporaryDirectory() as folder:
        profile = os.path.join(folder, "callgrind.out")
        output, log = run(
            ["valgrind", "--tool=callgrind", "--collect-atstart=no",
             "--toggle-collect=guard_counted", f"--callgrind-out-file={profile}",
             "./" + os.path.basename(program), path],
            os.path.dirname(program), ENVIRONMENT)
        with open(profile, encoding="utf-8") as file:
            costs = by_library(file)
    units = int(output.split()[2])
    total = int(re.search(r"Collected : (\d+)", log)[1])
    if total == 0 or total != sum(costs.values()):
        sys.exit(f"{path}: callgrind counted {total} and wrote {sum(costs.values())}:\n{log}")
    openssl = sum(cost for name, cost in costs.items() if "/libcrypto." in name)
    return {"instructions": (total - openssl) / units, "openssl": openssl / units}


def need_the_same(compiler):
    """Another compiler makes other instructions."""
    if not re.fullmatch(COMPILER, compiler):
        raise Skip(f"the figures are of clang 16 on x86-64, this is {compiler}")
    with open("/etc/os-release", encoding="utf-8") as file:
        release = re.search(r'^VERSION_ID="?([\d.]+)', file.read(), re.M)
    if release is None or release[1] != RELEASE:
        raise Skip(f"the figures are of the libraries of Debian {RELEASE}")
    if shutil.which("valgrind") is None:
        raise Skip("there is no valgrind (scripts/install-dependencies --test)")


def judge(column, path, old, new):
    """Whether the new figure passes; prints both."""
    digits = DIGITS[column]
    shown = f"{path:<9} {new:>8.{digits}f} {column}"
    if old is None:
        print(f"{shown}: NOT COMMITTED")
        return False
    most = round(old * (1 + MARGIN[column]), digits)
    least = round(old * (1 - MARGIN[column]), digits)
    shown += f", committed {old:.{digits}f}"
    if round(new, digits) > most:
        print(f"{shown}, at most {most:.{digits}f}: MORE THAN BEFORE")
        return False
    print(shown + (": fewer, commit it" if round(new, digits) < least else ""))
    return True


def check(kind, program, compiler):
    if kind == "instructions":
        need_the_same(compiler)
    count = count_instructions if kind == "instructions" else count_allocations
    found = {path: count(program, path) for path in PATHS}
    figures = read_figures()
    if os.environ.get("EVENTHUB_UPDATE"):
        write_figures({path: {**figures.get(path, {}), **found[path]} for path in PATHS})
        print(f"wrote {FIGURES}")
        return 0
    passed = [judge(column, path, figures.get(path, {}).get(column), found[path][column])
              for path in PATHS for column in COLUMNS[kind]]
    build = os.path.dirname(os.path.dirname(os.path.dirname(program)))
    print(f"To commit what was counted:\n"
          f"  EVENTHUB_UPDATE=1 ctest --test-dir {build} -R guard_{kind}")
    return 0 if all(passed) else 1


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in COLUMNS:
        sys.exit(__doc__)
    try:
        return check(sys.argv[1], os.path.abspath(sys.argv[2]), " ".join(sys.argv[3:]))
    except Skip as why:
        print(f"skipped: {why}")
        return SKIPPED


if __name__ == "__main__":
    sys.exit(main())
