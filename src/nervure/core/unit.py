"""Units of measurement: UCUM codes, read by ``ucumvert`` on ``pint``.

Both take a third of a second to import, so they are loaded at the first question.
Source: The Unified Code for Units of Measure, https://ucum.org.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from nervure.core.error import DeclarationError

__all__ = ["check", "code_of", "convert", "convertible", "describe", "known", "linear"]

_PREFIXES = ("ucum:", "http://www.opengis.net/def/uom/UCUM/0/", "http://www.opengis.net/def/uom/UCUM/")
_SPOKEN = {"°C": "Cel", "degC": "Cel", "°F": "[degF]", "°": "deg", "µg/m³": "ug/m3", "m³/h": "m3/h"}
_LONGEST = 40
_POWERS = {"2": "square", "3": "cubic"}


@cache
def _registry() -> Any:
    from ucumvert import PintUcumRegistry

    return PintUcumRegistry()


@lru_cache(maxsize=1024)
def _quantity(code: str) -> Any:
    try:
        return _registry().from_ucum(code)
    except Exception as cause:  # the parser raises several kinds of its own
        raise DeclarationError(
            f"{code!r} is not a UCUM unit", hint="write codes such as L/s, Cel, %, km/h, ug/m3; see ucum.org"
        ) from cause


def check(code: str) -> str:
    """Return the code if it is a UCUM unit, else raise ``DeclarationError``.

    >>> check("L/s")
    'L/s'
    """
    _quantity(code)
    return code


def convertible(source: str, target: str) -> bool:
    """Tell whether a value in one unit can be written in the other.

    >>> convertible("[mi_i]/h", "km/h"), convertible("L/s", "Cel")
    (True, False)
    """
    return source == target or bool(_quantity(source).is_compatible_with(_quantity(target)))


@lru_cache(maxsize=1024)
def linear(source: str, target: str) -> tuple[float, float]:
    """Return ``(factor, offset)`` with ``target = source * factor + offset``.

    Every unit Nervure accepts is linear; a logarithmic one (dB, pH) only converts to itself.

    >>> round(linear("m3/h", "L/s")[0] * 3.6, 9)
    1.0
    """
    if source == target:
        return 1.0, 0.0
    if not convertible(source, target):
        raise DeclarationError(
            f"a value in {source!r} cannot be written in {target!r}",
            hint="declare the unit the device really sends",
        )
    registry = _registry()
    unit_in, unit_out = _quantity(source), _quantity(target)
    base = registry.Quantity(0.0, unit_in.units).to(unit_out.units).magnitude
    one = registry.Quantity(float(unit_in.magnitude), unit_in.units).to(unit_out.units).magnitude
    scale = float(unit_out.magnitude)
    return (one - base) / scale, base / scale


def convert(value: float, source: str, target: str) -> float:
    """Write a value in another unit.

    >>> round(convert(65.0, "[mi_i]/h", "km/h"), 2), round(convert(300.0, "K", "Cel"), 2)
    (104.61, 26.85)
    """
    factor, offset = linear(source, target)
    return value * factor + offset


@lru_cache(maxsize=1024)
def known(code: str) -> bool:
    """Tell whether a text is a UCUM code.

    >>> known("L/s"), known("litres a second")
    (True, False)
    """
    if not 0 < len(code) <= _LONGEST or not code.isascii() or " " in code:
        return False
    try:
        _quantity(code)
    except DeclarationError:
        return False
    return True


def describe(code: str) -> dict[str, str]:
    """Return the ``unitOfMeasurement`` of a UCUM code, as SensorThings writes it (18-088, section 8.2.4).

    What is not a UCUM code names itself.

    >>> describe("ug/m3")
    {'name': 'microgram per cubic meter', 'symbol': 'ug/m3', 'definition': 'ucum:ug/m3'}
    """
    plain = {"name": code, "symbol": code, "definition": f"ucum:{code}"}
    if "{" in code or not known(code):
        return plain
    quantity = _quantity(code)
    if quantity.magnitude != 1 or quantity.dimensionless:
        return plain
    name = re.sub(r"(\w+) \*\* ([23])", lambda found: f"{_POWERS[found[2]]} {found[1]}", str(quantity.units))
    name = name.replace(" * ", " ").replace(" / ", " per ").replace("_", " ").removeprefix("1 ")
    return plain | {"name": name}


def code_of(unit: Mapping[str, Any]) -> str:
    """Return the UCUM code that a ``unitOfMeasurement`` means, or "" where none can be told.

    >>> code_of({"name": "degree Celsius", "symbol": "°C", "definition": "http://qudt.org/vocab/unit#DEG_C"})
    'Cel'
    """
    for part in ("definition", "symbol"):
        text = str(unit.get(part) or "")
        for prefix in _PREFIXES:
            text = text.removeprefix(prefix)
        code = _SPOKEN.get(text, text)
        if known(code):
            return code
    return ""
