#!/usr/bin/env python3
"""Faults on purpose are in the builds of the tests and in no other: the presets say so, and without
EVENTHUB_FAULTS the compiler sees nothing of them.

    test/style/faults.py COMPILER
"""
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXPECTED = {"dev": "ON", "coverage": "ON", "release": "OFF"}
SAMPLE = """
#include "eventhub/core/fault.hpp"
#include "pg/fault.hpp"
void sample() {
  EVENTHUB_FAULT_POINT("sample.point");
  EVENTHUB_FAULT_POINT_IF(sample(), "sample.point");
  EVENTHUB_FAULT_BEFORE_COMMIT("sample.point");
  EVENTHUB_FAULT_BEFORE_COMMIT_IF(sample(), "sample.point");
  EVENTHUB_FAULT_IN_TRANSACTION(sample());
  EVENTHUB_FAULT_ARM(sample());
  EVENTHUB_MUTATE("sample_mutant", sample());
  if (EVENTHUB_MUTANT("sample_mutant")) sample();
}
"""
LEFT = "void sample() {" + 7 * "static_cast<void>(0);" + "if (false) sample();}"


def presets():
    with open(os.path.join(ROOT, "CMakePresets.json"), encoding="utf-8") as file:
        found = {one["name"]: one.get("cacheVariables", {}).get("EVENTHUB_FAULTS")
                 for one in json.load(file)["configurePresets"] if not one.get("hidden")}
    return [f"CMakePresets.json: {name} has EVENTHUB_FAULTS {found.get(name)}"
            for name in EXPECTED | found if found.get(name) != EXPECTED.get(name)]


def left_without(compiler):
    command = [compiler, "-std=c++20", "-E", "-P", "-x", "c++", "-I", f"{ROOT}/include", "-I",
               f"{ROOT}/src", "-"]
    done = subprocess.run(command, input=SAMPLE, capture_output=True, text=True, check=True)
    left = " ".join(done.stdout.split())
    if "".join(left.split()) == "".join(LEFT.split()):
        return []
    return [f"without EVENTHUB_FAULTS this is left: {left}"]


def main():
    wrong = presets() + left_without(sys.argv[1])
    print("\n".join(wrong) if wrong else "style: faults on purpose are for the tests only")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
