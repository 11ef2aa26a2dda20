"""Documents point at what exists: links between files, modules and tests they name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#]+)")
NAMED = re.compile(r"`((?:src|tests|tools|docs)/[\w./-]+)`")
MODULE = re.compile(r"`(nervure(?:\.\w+)+)`")


def _missing(path: Path) -> list[str]:
    text = path.read_text("utf-8")
    missing = [link for link in LINK.findall(text) if not (path.parent / link).exists()]
    missing += [name for name in NAMED.findall(text) if not (ROOT / name).exists()]
    return missing + [name for name in MODULE.findall(text) if not _module_exists(name)]


def _module_exists(dotted: str) -> bool:
    """Tell whether a module, or a name that a module's text defines, is there."""
    if dotted in {"nervure.toml", "nervure.solutions"}:
        return True
    path = ROOT.joinpath("src", *dotted.split("."))
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    module = path.parent.with_suffix(".py")
    return module.is_file() and re.search(rf"\b{path.name}\b", module.read_text("utf-8")) is not None


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_points_at_what_exists(path: Path) -> None:
    assert not _missing(path)


def test_sees_what_is_missing(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text(
        "[x](gone.md) `src/nervure/gone.py` `nervure.gone` `nervure.core.unit.gone` `nervure.core.unit`"
    )
    assert _missing(page) == ["gone.md", "src/nervure/gone.py", "nervure.gone", "nervure.core.unit.gone"]


def test_every_decision_says_context_choice_and_cost() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        headings = re.findall(r"^## (.+)$", page.read_text("utf-8"), re.MULTILINE)
        assert headings == ["Context", "Choice", "Cost"], page.name
