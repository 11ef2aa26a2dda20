"""What the documents say of settings and commands is what the code says."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from nervure.cli.reference import cli_page, entries, settings_file, settings_page
from nervure.core.settings import Broker, Settings, Watched, flat

DOCS = Path(__file__).parents[2] / "docs"
SECTIONS = [
    (Settings, ""),
    (Broker, "broker."),
    (Watched, "thing."),
    *(
        (type(field.default), f"{field.name}.")
        for field in msgspec.structs.fields(Settings)
        if isinstance(field.default, msgspec.Struct)
    ),
]


@pytest.mark.parametrize(("section", "prefix"), SECTIONS, ids=lambda one: getattr(one, "__name__", ""))
def test_every_setting_says_what_it_means(section: type[msgspec.Struct], prefix: str) -> None:
    found = list(entries(section, prefix))
    assert found
    for entry in found:
        assert entry.meaning.endswith("."), f"{entry.name} says nothing of itself"


def test_the_page_of_settings_is_true() -> None:
    assert (DOCS / "settings.md").read_text("utf-8") == settings_page(), (
        "run: python -m nervure.cli.reference docs"
    )
    assert all(f"`{name}`" in settings_page() for name in flat(Settings()) if name not in {"broker", "thing"})


def test_the_page_of_commands_is_true() -> None:
    assert (DOCS / "cli.md").read_text("utf-8") == cli_page(), "run: python -m nervure.cli.reference docs"


def test_defaults_in_a_new_file_are_the_defaults() -> None:
    """Uncomment every line that has a value: the settings must come out as they are without a file."""
    lines = [line for line in settings_file().splitlines() if not line.endswith(" =")]
    text = "\n".join(line.removeprefix("# ") if " = " in line else line for line in lines)
    text = text.partition("# [[")[0].rpartition("[notify]")[0] + "[notify]\ntimeout_s = 5.0\n"
    assert msgspec.convert(tomllib.loads(text), Settings) == Settings()
