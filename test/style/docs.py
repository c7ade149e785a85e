#!/usr/bin/env python3
"""Holds the documents to the code: what README.md, docs/ and CONTRIBUTING.md name must exist.

    test/style/docs.py    first every rule must fire on a bad sample and be quiet on a good one
                          (docs_samples.py), then all documents are read

A rule is a function (path, text, facts) -> [(line, what is wrong)]. docs_facts.py collects from the
sources what there is: tests, files, options, metrics, tables, flags.
"""
import posixpath
import re
import sys

from docs_facts import Facts, SQL_WORDS
from docs_samples import FACTS, SAMPLES

CONTRACT = "docs/contract.md"
SECURITY = "docs/security.md"
RELIABILITY = "docs/reliability.md"
README = "README.md"


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def found(pattern, text, flags=0):
    for match in re.finditer(pattern, text, flags):
        yield line_of(text, match.start()), match


def code(text):
    """(line, code) of every fenced line and every `span` outside of fences."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced:
            yield number, line
        else:
            for span in re.findall(r"`([^`]+)`", line):
                yield number, span


def fences(text, language):
    """(line, body) of every fenced block of a language."""
    for line, match in found(r"^```" + language + r"\n(.*?)^```", text, re.M | re.S):
        yield line + 1, match[1]


def without_sql_text(sql):
    """Comments and literals blanked, lines kept."""
    return re.sub(r"--[^\n]*|'[^']*'", "", sql)


# ── the contract ──

def promises_name_tests(path, text, _):
    if path != CONTRACT:
        return []
    wrong = []
    marks = list(re.finditer(r"^\* \*\*C(\d+)\*\*", text, re.M))
    for index, mark in enumerate(marks):
        if int(mark[1]) != index + 1:
            wrong.append((line_of(text, mark.start()), f"C{mark[1]} should be C{index + 1}"))
        body = re.split(r"^(?:#|\* )|^$", text[mark.end():], maxsplit=1, flags=re.M)[0]
        if not re.search(r"`test/[^`]+: [^`]+`", body) or "no test yet" in body:
            wrong.append((line_of(text, mark.start()), f"C{mark[1]} names no test"))
    return wrong


def faults_name_tests(path, text, _):
    """Each row of a table whose last column is for tests."""
    if path not in (RELIABILITY, SECURITY):
        return []
    wrong = []
    for line, match in found(r"^\|.*\| tests \|\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.M):
        wrong += [(line + offset, "names no test")
                  for offset, row in enumerate(match[1].splitlines(), 2)
                  if not re.search(r"`test/[^`]+: [^`]+`", row.split("|")[-2])]
    if not re.search(r"^\|.*\| tests \|$", text, re.M):
        wrong.append((1, "there is no table with a column of tests"))
    return wrong


def tests_exist(path, text, facts):
    if path not in (CONTRACT, RELIABILITY, SECURITY):
        return []
    return [(line, f"{match[1]} has no test \"{match[2]}\"")
            for line, match in found(r"`(test/[^`\s:]+): ([^`]+)`", text)
            if match[2] not in facts.tests.get(match[1], ())]


# ── all documents ──

def slug(heading):
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return kept.replace(" ", "-")


def links_lead_somewhere(path, text, facts):
    wrong = []
    for line, match in found(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", match[1]):
            continue
        place, _, anchor = match[1].partition("#")
        folder = posixpath.dirname(path)
        target = posixpath.normpath(posixpath.join(folder, place)) if place else path
        if target not in facts.files:
            wrong.append((line, f"the link {match[1]} leads nowhere"))
        elif anchor and target in facts.headings and anchor not in facts.headings[target]:
            wrong.append((line, f"{target} has no heading #{anchor}"))
    return wrong


def paths_exist(path, text, facts):
    folders = "src|include|test|docs|migrations|scripts|config|cmake|bench|examples"
    pattern = rf"^(?:{folders})/[\w./-]*\w$"
    return [(line, f"there is no {span}") for line, span in code(text)
            if re.match(pattern, span) and span not in facts.files
            and "NNNN" not in span and not span.startswith("build/")]


def symbols_exist(path, text, facts):
    if path == CONTRACT:
        return []
    wrong = []
    for line, span in code(text):
        match = re.fullmatch(r"(\w+)::(\w+(?:::\w+)*)", span)
        for name in span.split("::") if match else []:
            if name not in facts.words:
                wrong.append((line, f"the sources have no {name} (`{span}`)"))
    return wrong


def names_exist(path, text, facts):
    """Names like `owned_shards` in a code span are names of the sources."""
    if path not in (README, "docs/architecture.md", "CONTRIBUTING.md", CONTRACT, RELIABILITY):
        return []
    return [(line, f"the sources have no {span}") for line, span in code(text)
            if re.fullmatch(r"[a-z]+(?:_[a-z0-9]+)+", span)
            and not span.startswith("eventhub_") and span not in facts.words]


# ── the README, and what else speaks of settings and metrics ──

def variables_exist(path, text, facts):
    if path not in (README, RELIABILITY):
        return []
    pattern = r"\b(?:EVENTHUB|DB|DATABASE|POLL|BATCH|WEBHOOK|WORKER|CHECK|STALE)_[A-Z_]+\b"
    return [(line, f"there is no variable {match[0]}") for line, match in found(pattern, text)
            if match[0] not in facts.variables]


def options_exist(path, text, facts):
    if path not in (README, RELIABILITY):
        return []
    sections = {name.split(".")[0] for name in facts.options if "." in name}
    return [(line, f"there is no option {span}") for line, span in code(text)
            if re.fullmatch(r"[a-z]+\.[a-z_]+", span) and span.split(".")[0] in sections
            and span not in facts.options]


def spread(pattern):
    """The names that a regular expression like a_(b|c)_d stands for."""
    match = re.search(r"\(([^()]*)\)", pattern)
    if not match:
        return [pattern]
    return [name for choice in match[1].split("|")
            for name in spread(pattern[:match.start()] + choice + pattern[match.end():])]


def metrics_exist(path, text, facts):
    if path not in (README, RELIABILITY):
        return []
    wrong = []
    for line, match in found(r"\beventhub_[a-z0-9_(|)]+", text):
        wrong += [(line, f"there is no metric {name}") for name in spread(match[0])
                  if name.rstrip(")|") not in facts.metrics]
    return wrong


def sql_exists(path, text, facts):
    if path != README:
        return []
    wrong = []
    for start, block in fences(text, "sql"):
        sql = without_sql_text(block)
        for line, match in found(r"\b(?:FROM|INTO|JOIN|UPDATE)\s+(\w+)", sql):
            if match[1] not in facts.tables:
                wrong.append((start + line - 1, f"there is no table {match[1]}"))
        for line, match in found(r"\b[A-Za-z_]\w*\b", sql):
            if match[0].upper() not in SQL_WORDS and match[0] not in facts.sql:
                wrong.append((start + line - 1, f"migrations/ have no {match[0]}"))
    return wrong


def columns_exist(path, text, facts):
    """The first cells of the table of columns."""
    if path != README:
        return []
    wrong = []
    for start, match in found(r"^\| column \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.M):
        for offset, row in enumerate(match[1].splitlines(), 2):
            wrong += [(start + offset, f"subscribers has no column {name}")
                      for name in re.findall(r"`([^`]+)`", row.split("|")[1])
                      if name not in facts.columns]
    return wrong


def flags_exist(path, text, facts):
    if path != README:
        return []
    wrong = []
    for line, span in code(text):
        program = re.match(r"(?:build/\w+/)?([\w./-]+)", span)
        name = program[1] if program else "eventhubd"
        if name in ("docker", "curl", "psql", "SELECT", "INSERT", "pg_isready"):
            continue
        known = facts.scripts.get(name, facts.flags)
        wrong += [(line, f"there is no flag {flag}")
                  for flag in re.findall(r"(?<!\S)(--[a-z][a-z_.-]+)", span) if flag not in known]
    return wrong


def commands_exist(path, text, facts):
    if path != README:
        return []
    return [(line, f"eventhubd has no command {match[1]}") for line, span in code(text)
            for match in [re.match(r"(?:[\w./]*/)?eventhubd ([a-z]+)", span)]
            if match and match[1] not in facts.commands]


RULES = [promises_name_tests, faults_name_tests, tests_exist, links_lead_somewhere, paths_exist,
         symbols_exist, names_exist, variables_exist, options_exist, metrics_exist, sql_exists,
         columns_exist, flags_exist, commands_exist]


def selftest():
    wrong = 0
    for rule in RULES:
        samples = SAMPLES.get(rule.__name__, [])
        if {expected for _, _, expected in samples} != {True, False}:
            print(f"{rule.__name__}: needs a bad and a good sample")
            wrong += 1
        for path, text, expected in samples:
            if bool(rule(path, text, FACTS)) != expected:
                print(f"{rule.__name__}: {'silent on' if expected else 'fires on'} {path}:\n{text}")
                wrong += 1
    return wrong


def check_documents():
    facts = Facts.of_checkout(slug)
    wrong = 0
    for path, text in sorted(facts.documents.items()):
        for rule in RULES:
            for line, message in rule(path, text, facts):
                print(f"{path}:{line}: {message} [{rule.__name__}]")
                wrong += 1
    return wrong


if __name__ == "__main__":
    problems = selftest() or check_documents()
    print(f"docs: {problems} wrong" if problems else "docs: what the documents name is there")
    sys.exit(1 if problems else 0)
