"""The charts of scripts/bench-plots: result.json files in, gnuplot's SVG files out."""
import argparse
import glob
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BENCH = os.path.join(ROOT, "build", "bench")
# White, so that it can be read on dark pages, too.
HEAD = """set terminal svg size 960,540 noenhanced background rgb 'white' font 'sans-serif,14'
set output {output}
set title {title}
set xlabel {x}
set ylabel {y}
set grid ytics linecolor rgb '#cccccc'
set border 3
set tics nomirror
"""
COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#555555"]
CPU = [("eventhubd", "hub_us_per_event"), ("PostgreSQL", "postgresql_us_per_event"),
       ("producer", "producer_us_per_event"), ("receiver", "receiver_us_per_event")]
LATENCIES = [("202, p50", "accept_ms", "p50"), ("202, p99", "accept_ms", "p99"),
             ("webhook, p50", "end_to_end_ms", "p50"), ("webhook, p99", "end_to_end_ms", "p99")]


def quoted(text):
    return "'" + str(text).replace("'", "''").replace("\n", " ") + "'"


def name_of(path):
    """The scenario's directory: closed, sweep/200."""
    directory = os.path.dirname(os.path.abspath(path))
    inside = directory.startswith(BENCH + os.sep)
    return os.path.relpath(directory, BENCH) if inside else os.path.basename(directory)


def read(paths):
    """(name, result) of each file that is one."""
    results = []
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                results.append((name_of(path), json.load(file)))
        except (OSError, ValueError) as error:
            print(f"left out {path}: {error}", file=sys.stderr)
    return results


def block(rows):
    def written(cell):
        if isinstance(cell, str):
            return '"' + cell.replace('"', "'") + '"'
        return f"{cell:.6g}"

    lines = [" ".join(written(cell) for cell in row) for row in rows]
    return "$data << END_OF_DATA\n" + "\n".join(lines) + "\nEND_OF_DATA\n"


def cpu_rows(results):
    """A bar for each run, and for its baseline."""
    rows = []
    for name, result in results:
        values = [result.get(field, 0) for _, field in CPU]
        if any(values):
            rows.append((name, *values))
        raw, bare = (result.get("baseline", {}).get(part) for part in ("postgresql", "http"))
        if raw and bare:
            rows.append((name + " without hub", 0, raw["postgresql_us_per_event"],
                         bare["producer_us_per_event"], bare["receiver_us_per_event"]))
    return rows


def cpu_plot(results):
    rows = cpu_rows(results)
    if not rows:
        return None
    text = ("set style data histograms\nset style histogram rowstacked\nset boxwidth 0.7\n"
            "set style fill solid 1.0 noborder\nset yrange [0:*]\nset key outside right top\n"
            "set xtics rotate by 30 right\n" + block(rows) + "plot ")
    text += ", ".join(f"$data using {i + 2}:xtic(1) title {quoted(title)} linecolor rgb "
                      f"'{COLOURS[i]}'" for i, (title, _) in enumerate(CPU))
    return "CPU time per event", "run", "µs per event", text


def lines_plot(rows, titles):
    """Rows of x and one y for each title."""
    return block(rows) + "plot " + ", ".join(
        f"$data using 1:{i + 2} with linespoints linewidth 2 pointtype 7 pointsize 0.6 "
        f"linecolor rgb '{COLOURS[i % len(COLOURS)]}' title {quoted(title)}"
        for i, title in enumerate(titles))


def comparable(result):
    """Everything of the load but how much there is of it."""
    load = result.get("load", {})
    return json.dumps({name: value for name, value in load.items()
                       if name not in ("rate", "seconds")}, sort_keys=True)


def latency_rows(results):
    """Of the open-loop runs that differ in their rate only, the group with the most rates."""
    groups = {}
    for _, result in results:
        load = result.get("load", {})
        if load.get("closed") or not load.get("rate") or result.get("disturb"):
            continue
        row = [result.get(group, {}).get(field, 0) for _, group, field in LATENCIES]
        groups.setdefault(comparable(result), {})[load["rate"]] = row
    rates = max(groups.values(), key=len, default={})
    return [(rate, *rates[rate]) for rate in sorted(rates)]


def latency_plot(results):
    rows = latency_rows(results)
    if len(rows) < 2:
        return None
    text = "set logscale xy\nset key left top\nset xtics ("
    text += ", ".join(f"{quoted(f'{row[0]:g}')} {row[0]:g}" for row in rows) + ")\n"
    text += lines_plot(rows, [title for title, _, _ in LATENCIES])
    return "Latency over rate", "events per second", "milliseconds since the event was due", text


def backlog_rows(results):
    """Rows of backlog, and events per second with it and, on the same hub, before it."""
    found = {}
    for _, result in results:
        disturb = result.get("disturb") or {}
        if disturb.get("kind") == "backlog":
            before = (result.get("undisturbed") or {}).get("events_per_second", float("nan"))
            found[disturb["rows"]] = (result.get("events_per_second", 0), before)
    return [(rows, *found[rows]) for rows in sorted(found)]


def backlog_plot(results):
    rows = backlog_rows(results)
    if not rows:
        return None
    text = "set xrange [0:*]\nset yrange [0:*]\nset format x '%.0s%c'\nset key left bottom\n"
    return ("Throughput over backlog", "messages that wait", "events per second",
            text + lines_plot(rows, ["with the backlog", "the same hub without"]))


def draw(path, plot):
    title, x, y, text = plot
    head = HEAD.format(output=quoted(path), title=quoted(title), x=quoted(x), y=quoted(y))
    subprocess.run(["gnuplot"], input=head + text + "\n", text=True, check=True)
    print(path)


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench-plots")
    parser.add_argument("results", nargs="*", metavar="RESULT.json")
    parser.add_argument("--out", default=os.path.join(BENCH, "plots"), metavar="DIRECTORY")
    arguments = parser.parse_args()
    paths = arguments.results or sorted(
        glob.glob(os.path.join(BENCH, "**", "result.json"), recursive=True),
        key=lambda path: (os.path.dirname(os.path.dirname(path)),
                          [int(part) if part.isdigit() else 0 for part in path.split(os.sep)],
                          path))
    results = read(paths)
    if not results:
        sys.exit("bench-plots: no results; scripts/bench leaves them in build/bench")
    os.makedirs(arguments.out, exist_ok=True)
    plots = {"cpu.svg": cpu_plot, "latency.svg": latency_plot, "backlog.svg": backlog_plot}
    for name, make in plots.items():
        plot = make(results)
        if plot:
            draw(os.path.join(arguments.out, name), plot)
        else:
            print(f"no {name}: no results for it")


if __name__ == "__main__":
    main()
