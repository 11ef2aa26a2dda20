"""Models by name: one file each in ``learn/models``, with sizes that a recipe may change."""

from __future__ import annotations

import importlib
from typing import Any, Protocol

import msgspec

from nervure.core.error import DeclarationError
from nervure.learn.anchor import Anchor
from nervure.learn.frame import Frame
from nervure.learn.task import ForecastTask

__all__ = ["Model", "find_model", "options_of"]


class Model(Protocol):
    """A file of ``learn/models``: how it looks at a task, and a fresh net in its frame."""

    def view(self, task: ForecastTask) -> ForecastTask:
        """Return the task with the channels that the model looks at."""
        ...

    def build(self, task: ForecastTask, anchor: Anchor) -> Frame:
        """Return a fresh net in its frame; the task is one that ``view`` gave."""
        ...


class _Sized:
    """A model with other sizes than its own."""

    def __init__(self, module: Any, options: msgspec.Struct) -> None:
        self._module, self._options = module, options

    def view(self, task: ForecastTask) -> ForecastTask:
        viewed: ForecastTask = self._module.view(task, self._options)
        return viewed

    def build(self, task: ForecastTask, anchor: Anchor) -> Frame:
        frame: Frame = self._module.build(task, anchor, self._options)
        return frame


def find_model(name: str, options: dict[str, Any] | None = None) -> Model:
    """Return the model of that name, with other ``options`` if any are given."""
    module = _file(name)
    if not options:
        found: Model = module
        return found
    kind = options_of(name)
    unknown = sorted(set(options) - set(kind.__struct_fields__))
    if unknown:
        known = ", ".join(kind.__struct_fields__) or "none"
        raise DeclarationError(f"the model {name!r} has no option {unknown[0]!r}", hint=f"it has: {known}")
    try:
        return _Sized(module, msgspec.convert(options, kind))
    except msgspec.ValidationError as cause:
        raise DeclarationError(f"the options of the model {name!r}: {cause}") from cause


def options_of(name: str) -> type[msgspec.Struct]:
    """Return the struct of a model's options; one without any has an empty one."""
    kind: type[msgspec.Struct] = getattr(_file(name), "Options", msgspec.Struct)
    return kind


def _file(name: str) -> Any:
    try:
        return importlib.import_module(f"nervure.learn.models.{name}")
    except ModuleNotFoundError as cause:
        raise DeclarationError(
            f"there is no model {name!r}", hint="a model is a file in nervure/learn/models"
        ) from cause
