"""What there is: collected from the sources, for docs.py."""
import dataclasses
import os
import re

from check import ROOT, tracked_files

SQL_WORDS = set("""SELECT INSERT INTO VALUES FROM WHERE AND OR NOT NULL GROUP BY ORDER DESC ASC
    AS IN TRUE FALSE COUNT SUM MIN MAX NOW GEN_RANDOM_UUID UPDATE SET DELETE JOIN ON USING IS LIMIT
    BETWEEN""".split())


@dataclasses.dataclass
class Facts:
    documents: dict = dataclasses.field(default_factory=dict)  # path -> text
    files: set = dataclasses.field(default_factory=set)        # and directories
    headings: dict = dataclasses.field(default_factory=dict)   # path -> anchors
    tests: dict = dataclasses.field(default_factory=dict)      # path -> names
    words: set = dataclasses.field(default_factory=set)        # of src, include and migrations
    options: set = dataclasses.field(default_factory=set)      # section.name
    variables: set = dataclasses.field(default_factory=set)
    metrics: set = dataclasses.field(default_factory=set)
    tables: set = dataclasses.field(default_factory=set)       # and views
    columns: set = dataclasses.field(default_factory=set)      # of subscribers
    sql: set = dataclasses.field(default_factory=set)          # all names of migrations
    flags: set = dataclasses.field(default_factory=set)        # of eventhubd
    scripts: dict = dataclasses.field(default_factory=dict)    # scripts/name -> flags
    commands: set = dataclasses.field(default_factory=set)

    @staticmethod
    def of_checkout(slug):
        facts = Facts()
        texts = {}
        for path in tracked_files():
            if os.path.isfile(os.path.join(ROOT, path)):
                facts.add_file(path)
                if wanted(path):
                    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                        texts[path] = file.read()
        facts.documents = {path: text for path, text in texts.items() if path.endswith(".md")}
        for path, text in facts.documents.items():
            facts.headings[path] = {slug(heading)
                                    for heading in re.findall(r"^#+ (.+)$", text, re.M)}
        for path, text in texts.items():
            facts.add_text(path, text)
        facts.add_metrics(texts.get("docs/metrics.md", ""))
        return facts

    def add_file(self, path):
        while path:
            self.files.update({path, path + "/"})
            path = os.path.dirname(path)

    def add_text(self, path, text):
        if path.startswith("test/"):
            self.tests[path] = test_names(path, text)
        if path.startswith(("src/", "include/", "migrations/")):
            self.words.update(re.findall(r"\w+", text))
        if path.startswith("src/core/options"):
            self.add_options(text)
        if path.startswith("src/core/config"):
            self.variables.update(re.findall(r'"([A-Z]+_[A-Z_]+)"', text))
        if path.startswith("migrations/"):
            self.add_sql(text)
        if path.startswith(("src/app/cli", "bench/options.cpp")):
            self.flags.update(re.findall(r'"(--[a-z-]+)"', text))
            self.flags.update(re.findall(r'"(--[a-z-]+),', text))
            self.commands.update(re.findall(r'add_subcommand\("(\w+)"', text))
        if path.startswith("src/cli/command_table"):
            names = re.findall(r'"([a-z]+(?:-[a-z]+)*)"', text)
            self.flags.update("--" + name for name in names)
            self.commands.update(names)
        if path.startswith("scripts/"):
            self.scripts[path] = set(re.findall(r"--[a-z][a-z-]+", text))

    def add_options(self, text):
        for name, variable, rest in re.findall(
                r'\{"([a-z_.]+)",\s*"([A-Z_]*)",\s*((?:top|in)<.*?)\}\)', text, re.S):
            variable = variable or "EVENTHUB_" + name.replace(".", "_").upper()
            self.options.add(name)
            self.flags.add("--" + name)
            self.variables.add(variable)
            if re.search(r",\s*true\b", rest):  # a secret: a file can hold it
                self.variables.add(variable + "_FILE")

    def add_sql(self, text):
        text = re.sub(r"--[^\n]*", "", text)
        self.tables.update(re.findall(r"CREATE (?:TABLE|VIEW) (\w+)", text))
        self.sql.update(re.findall(r"\b[a-z_]\w*\b", text))
        body = re.search(r"CREATE TABLE subscribers \((.*?)^\)", text, re.S | re.M)
        if body:
            self.columns.update(re.findall(r"^  ([a-z_]+) [a-z]", body[1], re.M))
        for changed in re.findall(r"ALTER TABLE subscribers\b(.*?);", text, re.S):
            self.columns.update(re.findall(r"ADD COLUMN (\w+)", changed))

    def add_metrics(self, text):
        for name, kind in re.findall(r"^\| `(\w+)` \| (\w+) \|", text, re.M):
            ends = ["_bucket", "_sum", "_count"] if kind == "histogram" else []
            self.metrics.update(name + end for end in ["", *ends])


def wanted(path):
    return path.endswith((".md", ".cpp", ".hpp", ".sql", ".py")) or path.startswith("scripts/")


def test_names(path, text):
    if path.endswith(".py"):
        return set(re.findall(r"^\s*(?:async )?def (test_\w+)", text, re.M))
    names = set()
    for literals in re.findall(r'TEST_CASE\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)', text):
        names.add("".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals)))
    return names
