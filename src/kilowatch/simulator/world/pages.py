"""The files of a world, read into one tree that remembers on which line each part stands.

Keeps true: all files are read, whatever is wrong with one of them; a key that stands twice, a file that is
none of a world's and one that cannot be read are mistakes, never silently skipped. Plain words of YAML 1.2
are read, so `on`, `no` and `05-01` are text.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from yaml.events import CollectionEndEvent, CollectionStartEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from kilowatch.simulator.world.mistake import Mistake, Place

HOMES: Final = {
    "streams": "streams",
    "chains": "relationships",
    "influences": "relationships",
    "templates": "events",
    "scenarios": "scenarios",
}
"""Which file a member stands in; `world` holds the others."""
STEMS: Final = ("world", *dict.fromkeys(HOMES.values()))
ENDINGS: Final = (".yaml", ".yml", ".json")
MOST_BYTES: Final = 16 * 1024 * 1024
MOST_DEPTH: Final = 50
TOO_DEEP: Final = f"has parts within parts more than {MOST_DEPTH} deep; a world needs ten"

_Parent: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def name_tag(kind: str) -> str:
    """The tag of a kind of node, such as `map`."""
    return f"tag:yaml.org,2002:{kind}"


SCALARS: Final[dict[str, Callable[[str], Any]]] = {
    name_tag("str"): str,
    name_tag("int"): int,
    name_tag("float"): float,
    name_tag("bool"): lambda text: {"true": True, "false": False}[text.lower()],
    name_tag("null"): lambda _text: None,
}
ESCAPE: Final = re.compile(r"\\\\|\\/|\\u[dD][89abAB]..\\u[dD][c-fC-F]..")
"""What JSON writes otherwise than YAML: a slash, and what is beyond the 16 bits of one escape."""


class Reader(_Parent):  # type: ignore[misc]
    """Composes nodes; which words are numbers and the like is as in the core schema of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


Reader.add_implicit_resolver(
    name_tag("bool"), re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
Reader.add_implicit_resolver(name_tag("null"), re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
Reader.add_implicit_resolver(name_tag("int"), re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
Reader.add_implicit_resolver(
    name_tag("float"),
    re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)


@dataclass(slots=True)
class Pages:
    """The files of a folder. files: member of the world -> the file that holds it; unread: members whose file
    is there but could not be read, so that nothing is known of them."""

    folder: Path
    root: MappingNode
    files: dict[str, str] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    mistakes: list[Mistake] = field(default_factory=list)

    def data(self) -> dict[str, Any]:
        """All that the files hold, as plain values."""
        built: dict[str, Any] = build(self.root)
        return built

    def file_of(self, place: Place) -> str:
        """The file that holds a place, or would hold it."""
        member = str(place[0]) if place else ""
        return self.files.get(member) or self._home(member)

    def add(self, file: str, key: Node, value: Node) -> None:
        """Adds a member from a file. Of two of one name the one in the file where it belongs is kept."""
        name: str = key.value
        other = self.files.get(name)
        if other is not None:
            earlier = next(pair for pair in self.root.value if pair[0].value == name)
            is_home = Path(file).stem == HOMES.get(name, "world")
            kept, gone, mark = (file, other, earlier[0]) if is_home else (other, file, key)
            says = f"`{name}` stands in {kept} as well; keep it in one file"
            self.mistakes.append(Mistake(gone, mark.start_mark.line + 1, says))
            if not is_home:
                return
            self.root.value.remove(earlier)
        self.files[name] = file
        self.root.value.append((key, value))

    def _home(self, member: str) -> str:
        stem = HOMES.get(member, "world")
        there = (file for file in self.files.values() if Path(file).stem == stem)
        return next(there, f"{stem}.yaml")

    def find(self, place: Place) -> tuple[Node, int]:
        """The innermost part on the way to a place, and its line."""
        node: Node = self.root
        line = 0
        for step in place:
            inner = child(node, step)
            if inner is None:
                break
            line, node = inner
        return node, line

    def way(self, place: Place) -> Iterator[Node]:
        """The parts on the way to a place, outermost first, as far as they are there."""
        node: Node = self.root
        for step in place:
            inner = child(node, step)
            if inner is None:
                return
            node = inner[1]
            yield node

    def mistake(self, place: Place, says: str) -> Mistake:
        """A mistake where that place stands."""
        return Mistake(self.file_of(place), self.find(place)[1], says)


def child(node: Node, step: str | int) -> tuple[int, Node] | None:
    """The line of a member and what it holds."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key.start_mark.line + 1, value
    elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line + 1, node.value[step]
    return None


def build(node: Node) -> Any:
    """The plain value of a node. Keys are text."""
    if isinstance(node, ScalarNode):
        return SCALARS[node.tag](node.value)
    if isinstance(node, MappingNode):
        return {key.value: build(value) for key, value in node.value}
    return [build(item) for item in node.value]


def read_pages(folder: Path) -> Pages:
    """Reads every file of a world's folder."""
    pages = Pages(folder, MappingNode(name_tag("map"), []))
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix in ENDINGS)
    except OSError as error:
        pages.mistakes.append(Mistake(folder.name, 0, f"cannot be read ({error.strerror}); name a folder"))
        pages.unread.update(("world", *HOMES))
        return pages
    if not any(path.stem == "world" for path in found):
        pages.mistakes.append(Mistake("world.yaml", 0, "is missing; write the world's name and title there"))
        pages.unread.add("world")
    for path in found:
        if path.stem in STEMS:
            _read_file(path, pages)
        else:
            says = f"is no file of a world; a world has {', '.join(STEMS)}, so rename it or take it away"
            pages.mistakes.append(Mistake(path.name, 0, says))
    return pages


def _read_file(path: Path, pages: Pages) -> None:
    try:
        node = _compose(path)
        if node is not None:
            pages.mistakes.extend(Mistake(path.name, *one) for one in _examine(node, set()))
    except _Unreadable as unreadable:
        pages.mistakes.append(Mistake(path.name, unreadable.line, str(unreadable)))
        pages.unread.update(member for member, stem in HOMES.items() if stem == path.stem)
        if path.stem == "world":
            pages.unread.add("world")
        return
    for key, value in node.value if node is not None else ():
        pages.add(path.name, key, value)


class _Unreadable(Exception):
    def __init__(self, line: int, says: str) -> None:
        super().__init__(says)
        self.line = line


def _compose(path: Path) -> MappingNode | None:
    """The tree of a file; None of an empty one."""
    text = _read_text(path)
    if path.suffix == ".json":
        try:
            json.loads(text)
        except ValueError as error:
            line, says = getattr(error, "lineno", 0), getattr(error, "msg", str(error))
            raise _Unreadable(line, f"is broken JSON ({says}); correct it") from None
        except RecursionError:
            raise _Unreadable(0, TOO_DEEP) from None
        text = ESCAPE.sub(_unescape, text)
    try:
        _refuse_depth(text)
        node = Reader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        says = ": ".join(part for part in (error.context, error.problem) if part)
        raise _Unreadable(mark.line + 1 if mark else 0, f"is broken YAML ({says}); correct it") from None
    except (yaml.YAMLError, RecursionError) as error:
        says = str(error).splitlines()[0]
        raise _Unreadable(0, f"is broken YAML ({says}); correct it") from None
    if node is not None and not isinstance(node, MappingNode):
        if isinstance(node, ScalarNode) and node.tag == name_tag("null"):
            return None
        raise _Unreadable(node.start_mark.line + 1, "holds no members; write `name: value` lines")
    return node


def _refuse_depth(text: str) -> None:
    """What composes nodes goes down into each without looking how deep it is already, until it crashes."""
    depth = 0
    for event in yaml.parse(text, Loader=Reader):
        if isinstance(event, CollectionStartEvent):
            depth += 1
            if depth > MOST_DEPTH:
                raise _Unreadable(event.start_mark.line + 1 if event.start_mark else 0, TOO_DEEP)
        elif isinstance(event, CollectionEndEvent):
            depth -= 1


def _read_text(path: Path) -> str:
    try:
        if not path.is_file():
            raise _Unreadable(0, "cannot be read (it is no file); write a file in its place")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise _Unreadable(0, f"is longer than {MOST_BYTES // 1024 // 1024} MiB; write a smaller world")
    except OSError as error:
        raise _Unreadable(0, f"cannot be read ({error.strerror}); give it the right to be read") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _Unreadable(line, "is not UTF-8; save it as UTF-8") from None


def _unescape(found: re.Match[str]) -> str:
    given = found[0]
    return given if given == "\\\\" else "/" if given == "\\/" else str(json.loads(f'"{given}"'))


def _examine(node: Node, met: set[int]) -> Iterator[tuple[int, str]]:
    """Line and words of keys that stand twice, of which the first is kept.

    Raises:
        _Unreadable: if there is a tag, an alias, or a key that is no word.
    """
    line = node.start_mark.line + 1
    if id(node) in met:
        raise _Unreadable(line, "the part after this `&` is named again by `*`; write it out in both places")
    met.add(id(node))
    if isinstance(node, ScalarNode):
        try:
            SCALARS[node.tag](node.value)
        except (KeyError, ValueError):
            raise _Unreadable(line, f"the tag {node.tag} is not for this; take it away") from None
    elif isinstance(node, MappingNode):
        yield from _examine_members(node, met)
    else:
        for item in node.value:
            yield from _examine(item, met)


def _examine_members(node: MappingNode, met: set[int]) -> Iterator[tuple[int, str]]:
    lines: dict[str, int] = {}
    kept = []
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode):
            raise _Unreadable(line, "a list or mapping stands where a name belongs; write a name")
        yield from _examine(value, met)
        if key.value in lines:
            yield line, f"`{key.value}` stands on line {lines[key.value]} already; keep one of them"
        else:
            lines[key.value] = line
            kept.append((key, value))
    node.value = kept
