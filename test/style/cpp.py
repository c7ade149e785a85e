"""Just enough of C++'s grammar for the style rules: comments and strings blanked, bodies found."""
import re

_TOKEN = re.compile(
    r'R"(?P<d>[^()\\ ]{0,16})\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\''
    r"|//[^\n]*|/\*.*?\*/", re.DOTALL)
_DIGIT_SEPARATOR = re.compile(r"(?<=[0-9a-fA-F])'(?=[0-9a-fA-F])")


def blank(text):
    """The text with comments and strings replaced by spaces; lines stay where they are."""
    text = _DIGIT_SEPARATOR.sub(" ", text)
    return _TOKEN.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def closing(text, start):
    """Offset of the bracket that closes the one at `start`; the end when there is none."""
    pairs = {"{": "}", "(": ")", "[": "]"}
    opened, closed = text[start], pairs[text[start]]
    depth = 0
    for offset in range(start, len(text)):
        if text[offset] == opened:
            depth += 1
        elif text[offset] == closed:
            depth -= 1
            if depth == 0:
                return offset
    return len(text) - 1


_SCOPE = re.compile(r"(inline\s+)?namespace\b|extern\b\s*$"
                    r"|(template\s*<.*>\s*)?(class|struct|union|enum)\b", re.DOTALL)
_INITIALIZER = re.compile(r"\)\s*(noexcept\s*)?:[^:].*[\w>]\s*$", re.DOTALL)


def functions(code):
    """(offset of '{', offset of '}') of each outermost function body. `code` is blanked."""
    offset = 0
    while True:
        start = code.find("{", offset)
        if start < 0:
            return
        begin = max(code.rfind(mark, 0, start) for mark in ";{}") + 1
        head = re.sub(r"^\s*(#[^\n]*\n\s*)*", "", code[begin:start])
        if _SCOPE.match(head) and ")" not in head.split(":")[0]:
            offset = start + 1  # look inside
        elif ")" in head and "=" not in re.sub(r"operator\s*\S+|[=!<>]=|\(.*\)", "", head,
                                               flags=re.DOTALL):
            while start >= 0 and _INITIALIZER.search(code[begin:start]):  # A() : b_{1} {
                start = code.find("{", closing(code, start))
            if start < 0:
                return
            end = closing(code, start)
            yield start, end
            offset = end + 1
        else:
            offset = closing(code, start) + 1


def lambdas(code):
    """(captures, offset, body) of each lambda with a body. `code` is blanked."""
    for match in re.finditer(r"(?<![\w\])])\[([^\[\]]*)\]\s*(?=[({<])", code):
        if re.match(r"\s*\[", code[match.start() - 1:match.start()] or " "):
            continue
        at = match.end()
        while at < len(code) and code[at] not in "{;":
            if code[at] == "(":
                at = closing(code, at)
            at += 1
        if at < len(code) and code[at] == "{":
            yield match.group(1).strip(), match.start(), code[at:closing(code, at) + 1]
