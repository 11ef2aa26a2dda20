"""What there is to set and to type, written out: ``docs/settings.md``, ``docs/cli.md``, ``nervure.toml``.

``python -m nervure.cli.reference docs`` writes both pages anew; a test keeps them true.
"""

from __future__ import annotations

import io
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from nervure.core.settings import Settings, variable

__all__ = ["Entry", "cli_page", "entries", "main", "settings_file", "settings_page"]

WIDTH = 100
REQUIRED = "required"
_SETTINGS = """\
Defaults, then `nervure.toml` (in the folder where the command is run, or `--settings FILE`), then
`NERVURE_*` variables, then `--set NAME=VALUE`: the later wins. `nervure up --origin` shows every
setting and where it came from; `nervure new project` writes a `nervure.toml` with all of them. A
name that does not exist is an error wherever it stands. `NERVURE_DATA` is no setting: it is the
folder of the real data sets that `nervure data` looks in.""".splitlines()
_COMMANDS = """\
Results go to stdout, errors to stderr. `--json` writes JSON for machines. Exit codes: 0 it went
well, 1 it found a problem, 2 the command or the settings are wrong, 3 something is missing on this
machine, 130 stopped with Ctrl+C.""".splitlines()


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One setting: its dotted name, type, default as TOML, and what it means."""

    name: str
    kind: str
    default: str
    meaning: str


def entries(section: type[msgspec.Struct], prefix: str = "") -> Iterator[Entry]:
    """Yield the settings of a section, in the order they are declared.

    >>> next(entries(Settings)).name
    'data'
    """
    hints = get_type_hints(section, include_extras=True)
    for field in msgspec.structs.fields(section):
        if isinstance(field.default, msgspec.Struct) or _listed(hints[field.name]):
            continue
        kind, meaning = _read(hints[field.name])
        yield Entry(name=prefix + field.name, kind=kind, default=_default(field), meaning=meaning)


def settings_page() -> str:
    """Return ``docs/settings.md``."""
    lines = ["# Settings", "", *_SETTINGS, "", *_section_table(list(entries(Settings)))]
    for name, section in _sections():
        lines += [
            "",
            f"## [{name}]",
            "",
            _about(section),
            "",
            *_section_table(list(entries(section, f"{name}."))),
        ]
    for name, section in _lists():
        lines += ["", f"## [[{name}]]", "", _about(section), ""]
        lines += ["| setting | kind | default | meaning |", "| --- | --- | --- | --- |"]
        lines += [
            f"| `{one.name}` | {one.kind} | {_coded(one.default)} | {one.meaning} |"
            for one in entries(section)
        ]
    return "\n".join(lines) + "\n"


def settings_file() -> str:
    """Return a ``nervure.toml`` in which every setting stands with its default, commented out."""
    lines = ["# Settings of this installation. Each line shows a default; take the # away to change it.", ""]
    lines += _toml(list(entries(Settings)))
    for name, section in _sections():
        lines += ["", *_comment(_about(section)), f"[{name}]", *_toml(list(entries(section)))]
    for name, section in _lists():
        lines += ["", *_comment(_about(section)), f"# [[{name}]]", *_toml(list(entries(section)))]
    return "\n".join(lines) + "\n"


def cli_page() -> str:
    """Return ``docs/cli.md``: the help of every command."""
    from rich.console import Console

    from nervure.cli.app import VERBS, build

    app = build(width=WIDTH)

    def text(*words: str) -> str:
        out = io.StringIO()
        app.help_print(list(words), console=Console(file=out, width=WIDTH, no_color=True))
        return out.getvalue().strip()

    lines = ["# Commands", "", *_COMMANDS, "", "```text", text(), "```"]
    for verb in VERBS:
        lines += ["", f"## nervure {verb.name}", "", "```text", text(verb.name), "```"]
        for inner in _inner(app[verb.name]):
            lines += ["", f"### nervure {verb.name} {inner}", "", "```text", text(verb.name, inner), "```"]
    return "\n".join(lines) + "\n"


def main(folder: Path) -> None:
    """Write both pages."""
    (folder / "settings.md").write_text(settings_page(), "utf-8")
    (folder / "cli.md").write_text(cli_page(), "utf-8")


def _inner(app: Any) -> list[str]:
    return [name for name in app if not name.startswith("-")]


def _sections() -> Iterator[tuple[str, type[msgspec.Struct]]]:
    for field in msgspec.structs.fields(Settings):
        if isinstance(field.default, msgspec.Struct):
            yield field.name, type(field.default)


def _lists() -> Iterator[tuple[str, type[msgspec.Struct]]]:
    """Yield the sections that may stand several times."""
    for name, hint in get_type_hints(Settings, include_extras=True).items():
        section = _listed(hint)
        if section is not None:
            yield name, section


def _listed(hint: Any) -> type[msgspec.Struct] | None:
    inner = get_args(hint)[0] if get_origin(hint) is tuple else None
    return inner if isinstance(inner, type) and issubclass(inner, msgspec.Struct) else None


def _about(section: type[msgspec.Struct]) -> str:
    return " ".join((section.__doc__ or "").replace("``", "`").split())


def _read(hint: Any) -> tuple[str, str]:
    """Return what kind of value a setting takes, with its bounds, and what it means."""
    if get_origin(hint) is not Annotated:
        return _kind(hint), ""
    plain, *metas = get_args(hint)
    bounds = []
    for meta in metas:
        bounds += [f"from {meta.ge}"] if meta.ge is not None else []
        bounds += [f"above {meta.gt}"] if meta.gt is not None else []
        bounds += [f"to {meta.le}"] if meta.le is not None else []
    meaning = next((meta.description for meta in metas if meta.description), "")
    return " ".join([_kind(plain), *bounds]), meaning


def _kind(plain: Any) -> str:
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    if plain in names:
        return names[plain]
    if get_origin(plain) is Annotated:
        return _kind(get_args(plain)[0])
    if get_origin(plain) is Literal:
        return " or ".join(f"`{one}`" if one else "empty" for one in get_args(plain))
    origin, inner = (
        get_origin(plain),
        [one for one in get_args(plain) if one is not type(None) and one is not ...],
    )
    if origin is tuple:
        return f"list of {_kind(inner[0])}"
    if origin is dict:
        return "table"
    return _kind(inner[0])


def _default(field: Any) -> str:
    if field.default_factory is not msgspec.NODEFAULT:
        return _as_toml(field.default_factory())
    return REQUIRED if field.default is msgspec.NODEFAULT else _as_toml(field.default)


def _as_toml(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case str():
            return msgspec.json.encode(value).decode()
        case tuple():
            return f"[{', '.join(_as_toml(one) for one in value)}]"
        case dict():
            return f"{{ {', '.join(f'{_as_toml(key)} = {_as_toml(one)}' for key, one in value.items())} }}"
        case _:
            return str(value)


def _coded(text: str) -> str:
    return text if text == REQUIRED else f"`{text}`" if text else "none"


def _section_table(found: list[Entry]) -> list[str]:
    head = ["| setting | kind | default | variable | meaning |", "| --- | --- | --- | --- | --- |"]
    return head + [
        f"| `{one.name}` | {one.kind} | {_coded(one.default)} | `{variable(one.name)}` | {one.meaning} |"
        for one in found
    ]


def _toml(found: list[Entry]) -> list[str]:
    lines = []
    for one in found:
        lines += [
            *_comment(one.meaning),
            f"# {one.name} = {one.default}" if one.default else f"# {one.name} =",
        ]
    return lines


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
