"""From the text of a file to values with places: syntax, duplicate keys, anchors, merge keys, variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from pymachine import expansion
from pymachine.fleet.inventory.errors import Findings, where
from pymachine.fleet.inventory.model import Spot
from pymachine.fleet.inventory.yaml_nodes import BROKEN, Items, Scalar, Table, Value

IGNORED = "x-"  # top-level keys that begin so are for anchors
MERGE = "tag:yaml.org,2002:merge"

_FAST: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_VARIABLE = re.compile(r"\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|(\{))")


@dataclass(frozen=True, slots=True)
class YamlFile:
    """One file of an inventory: its name in messages, ``-`` for standard input, and its text."""

    name: str
    text: str


def compose(source: YamlFile, environ: Mapping[str, str], findings: Findings) -> Table | None:
    """Return the mapping of a file; None, with an error recorded, if it has none."""
    try:
        node = _parsed(source, findings)
        if node is not None and (large := expansion.overgrown(node)) is not None:
            spot = Spot(source.name, large.start_mark.line + 1, large.start_mark.column + 1)
            findings.fault(spot, expansion.problem(), "use fewer nested aliases")
            return None
        value = None if node is None else _Composer(source.name, environ, findings).top(node)
    except RecursionError:
        findings.fault(Spot(source.name, 1, 1), "the file is nested too deeply")
        return None
    if value is None or isinstance(value, Table):
        return value
    findings.fault(value.spot, "an inventory is a mapping", "begin with `fleet: NAME`")
    return None


def _parsed(source: YamlFile, findings: Findings) -> yaml.Node | None:
    if len(source.text) > expansion.TEXT_LIMIT:
        findings.fault(Spot(source.name, 1, 1), f"the file is longer than {expansion.TEXT_LIMIT >> 20} MiB")
        return None
    try:
        return yaml.compose(source.text, _FAST) or _empty()
    except yaml.YAMLError as error:
        findings.fault(*_explained(source, error))
    return None


def _empty() -> yaml.Node:
    mark = yaml.Mark("", 0, 0, 0, None, 0)
    return yaml.MappingNode("tag:yaml.org,2002:map", [], mark, mark)


def _explained(source: YamlFile, error: yaml.YAMLError) -> tuple[Spot, str]:
    """Return place and reason. libyaml and PyYAML word them differently; PyYAML's are always used."""
    try:
        yaml.compose(source.text, yaml.SafeLoader)
    except yaml.YAMLError as again:
        error = again
    if isinstance(error, yaml.reader.ReaderError):
        before = source.text[: error.position]
        spot = Spot(source.name, before.count("\n") + 1, len(before) - before.rfind("\n"))
        return spot, f"not YAML: an invalid character (U+{_code(error.character):04X})"
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Spot(source.name, 1, 1), f"not YAML: {error}"
    line, column = error.problem_mark.line, error.problem_mark.column
    reason = ", ".join(part for part in (error.context, error.problem) if part)
    return Spot(source.name, line + 1, column + 1), f"not YAML: {reason}{_braces(source.text, line)}"


def _code(character: object) -> int:
    return character if isinstance(character, int) else ord(str(character)[:1] or " ")


def _braces(text: str, line: int) -> str:
    """Add a hint about the most common error: braces of a range or variable within a flow mapping."""
    lines = text.splitlines()
    here = lines[line] if line < len(lines) else ""
    return "; within {…} and […], quote values that contain braces" if re.search(r"[{,[].*[\w-]\{|\$\{", here) else ""


class _Composer:
    def __init__(self, file: str, environ: Mapping[str, str], findings: Findings) -> None:
        self.file = file
        self.environ = environ
        self.findings = findings
        self.made: dict[int, Value] = {}
        self.making: set[int] = set()

    def top(self, node: yaml.Node) -> Value:
        """Return the file's value without the keys that only hold anchors."""
        if isinstance(node, yaml.MappingNode):
            kept = [pair for pair in node.value if not str(pair[0].value).startswith(IGNORED)]
            node = yaml.MappingNode(node.tag, kept, node.start_mark, node.end_mark)
        return self.value(node)

    def value(self, node: yaml.Node) -> Value:
        """Return a node's value, computed once per node: aliases share it."""
        known = self.made.get(id(node))
        if known is not None:
            return known
        spot = self.spot(node)
        if id(node) in self.making:
            self.findings.fault(spot, "an anchor contains an alias of itself")
            return Scalar("", "null", spot, "")
        self.making.add(id(node))
        self.made[id(node)] = made = self._made(node, spot)
        self.making.discard(id(node))
        return made

    def spot(self, node: yaml.Node) -> Spot:
        """Return the place where a node begins."""
        return Spot(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _made(self, node: yaml.Node, spot: Spot) -> Value:
        if isinstance(node, yaml.MappingNode):
            return self._table(node, spot)
        if isinstance(node, yaml.SequenceNode):
            return Items(tuple(self.value(item) for item in node.value), spot)
        kind = node.tag.rpartition(":")[2]
        if node.tag.startswith("!"):
            self.findings.fault(spot, f"tag {node.tag} is not supported", "remove it")
        text = self._filled(node.value, spot) if "$" in node.value else node.value
        return Scalar(node.value, BROKEN, spot, node.value) if text is None else Scalar(text, kind, spot, node.value)

    def _table(self, node: yaml.MappingNode, spot: Spot) -> Table:
        cells: dict[str, Value] = {}
        keys: dict[str, Spot] = {}
        beneath: list[Table] = []
        for key, value in node.value:
            if key.tag == MERGE:
                beneath += self._merge_of(value)
            elif not isinstance(key, yaml.ScalarNode):
                self.findings.fault(self.spot(key), "a key is a single word", "quote it if it begins with { or [")
            elif key.value in cells:
                first = where(keys[key.value])
                self.findings.fault(self.spot(key), f"key {key.value!r} is given twice, first at {first}")
            else:
                cells[key.value], keys[key.value] = self.value(value), self.spot(key)
        table = Table(cells, keys, spot)
        for below in beneath:
            table = _over(below, table)
        return table

    def _merge_of(self, node: yaml.Node) -> list[Table]:
        value = self.value(node)
        parts = value.items if isinstance(value, Items) else (value,)
        for part in parts:
            if not isinstance(part, Table):
                self.findings.fault(part.spot, "<< requires the alias of a mapping", "write <<: *NAME")
        return [part for part in parts if isinstance(part, Table)]

    def _filled(self, text: str, spot: Spot) -> str | None:
        """Replace variables by their values and ``$$`` by ``$``.

        None, with an error recorded, if one has no value.
        """
        values = [self._value_of(match, spot) for match in _VARIABLE.finditer(text)]
        if any(value is None for value in values):
            return None
        remaining = iter(values)
        return _VARIABLE.sub(lambda _: next(remaining) or "", text)

    def _value_of(self, match: re.Match[str], spot: Spot) -> str | None:
        dollar, name, default, unfinished = match.groups()
        if dollar:
            return "$"
        if unfinished:
            self.findings.fault(
                spot, "${ does not start a variable", "write ${NAME}, ${NAME:-default}, or $$ for a $"
            )
            return None
        found = self.environ.get(name)
        if found is None and default is None:
            self.findings.fault(spot, f"variable {name} is not set", f"set it, or write ${{{name}:-default}}")
        return found or (found if default is None else default)


def _over(below: Table, above: Table) -> Table:
    """Merge a mapping over one that ``<<`` names: as in YAML, whole values are taken, not merged."""
    cells = {**below.cells, **above.cells}
    return Table(cells, {**below.keys, **above.keys}, above.spot)
