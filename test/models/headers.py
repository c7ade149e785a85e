"""The headers of the models are true: what they name is there, what they promise is asserted and
can break, and every switch is in the table of README.md."""
import glob
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def section(header, name):
    found = re.search(rf"^ \* {name}[^\n]*:\n((?: \*   [^\n]*\n)+)", header, re.M)
    return found[1] if found else ""


def missing_code(header, read):
    """Lines like `src/a.cpp  f, g`: the file is there and has these words."""
    rows = re.findall(r"^ \*   (\S+)\s+(.+)$", section(header, "Code"), re.M)
    wrong = [] if rows else ["the header names no code"]
    for path, names in rows:
        text = read(path)
        if text is None:
            wrong.append(f"there is no {path}")
            continue
        wrong += [f"{path} has no {name}" for name in names.split(", ")
                  if not re.search(rf"\b{re.escape(name)}\b", text)]
    return wrong


def loose_properties(model, header, body, table):
    promised = set(re.findall(r"^ \*   (P\d) ", section(header, "Properties"), re.M))
    asserted = set(re.findall(r"assert\(.*/\* (P\d) \*/", body))
    broken = {c.breaks for c in table if c.model == model and c.breaks}
    wrong = [] if promised else ["the header promises nothing"]
    wrong += [f"{name} is promised and not asserted" for name in sorted(promised - asserted)]
    wrong += [f"{name} is asserted and not promised" for name in sorted(asserted - promised)]
    wrong += [f"no configuration breaks {name}" for name in sorted(promised - broken)]
    return wrong


def unknown_switches(model, body, table):
    switches = set(re.findall(r"^#if(?:n?def) (\w+)", body, re.M))
    used = {define.split("=")[0] for c in table if c.model == model for define in c.defines}
    bounds = set(re.findall(r"^#ifndef (\w+)\n#define \1 ", body, re.M))
    wrong = [f"no configuration has the switch {name}" for name in sorted(switches - used - bounds)]
    return wrong + [f"there is no switch {name}" for name in sorted(used - switches)]


def model_faults(model, text, table, read):
    header, _, body = text.partition("*/")
    wrong = missing_code(header, read) + loose_properties(model, header, body, table)
    wrong += unknown_switches(model, body, table)
    if " * Bounds: " not in header:
        wrong.append("the header names no bounds")
    if not any(c.model == model and not c.breaks for c in table):
        wrong.append("no configuration proves anything")
    return [f"test/models/{model}.pml: {fault}" for fault in wrong]


def read_source(path):
    try:
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None


def faults(table):
    models = sorted(glob.glob(os.path.join(HERE, "*.pml")))
    names = [os.path.basename(path)[:-4] for path in models]
    wrong = [f"README.md has {c.model}, and there is no such model" for c in table
             if c.model not in names]
    for name, path in zip(names, models):
        wrong += model_faults(name, read_source(path), table, read_source)
    return wrong
