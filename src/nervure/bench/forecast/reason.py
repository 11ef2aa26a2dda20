"""Why a goal was missed and what was tried: said beside the table, for goals that are missed only.

The words are written by hand, since no number tells them; whether they are shown is not.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["reasons"]

_WHY: tuple[tuple[str, str, str], ...] = (  # set (empty: any), how the goal's name begins, why
    (
        "traffic",
        "MAE 15min",
        (
            "there are five days to learn from. Longer training, a wider decoder, and nets with and "
            "without neighbours and earlier days were tried; trees pooled over all detectors need fewer "
            "examples"
        ),
    ),
    (
        "wind",
        "skill",
        (
            "without a weather forecast little is known of the next hours but that it blows as it does. "
            "The net sees wind, direction and each turbine; an LSTM was tried beside it. What a "
            "forecast would be worth shows `wind-weather`, where the reanalysis is known ahead: a real "
            "forecast lies between the two"
        ),
    ),
    (
        "",
        "80 % band",
        (
            "the bands are set on the validation part, and the test part is calmer or wilder than that; "
            "the live system widens and narrows them as readings come in, which this table leaves out"
        ),
    ),
    (
        "",
        "training, peak",
        (
            "libraries and the tables of a set are more than half of it. Blocks in the place of whole "
            "arrays, single precision, fewer rows in the linear part and handing memory back to the "
            "system were tried; sets that train several nets in one process, or whose data another "
            "library decodes, take most"
        ),
    ),
    (
        "",
        "ms a round",
        ("a narrower decoder was tried; what is left is mostly the many small steps of masks and anchors"),
    ),
    (
        "",
        "error with 30 %",
        (
            "the newest readings, or the weather known ahead, carry most of what is known here; "
            "readings are hidden at random in training against it"
        ),
    ),
    (
        "",
        "error with own",
        (
            "a sensor's own last reading is most of what is known of its next ones; neighbours, where "
            "there are any, make up for a part of it"
        ),
    ),
)


def reasons(lines: Sequence[Sequence[str]]) -> str:
    """Return a list of reasons for the missed goals among table lines ``(set, what, ..., state)``.

    >>> said = reasons([("wind", "skill_MAE 1h", "missed"), ("air", "80 % band covers", "met")])
    >>> "- skill (wind): " in said, "air" in said
    (True, False)
    """
    held: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        name, what = line[0], line[1]
        for place, begins, why in _WHY:
            if line[-1] == "missed" and place in ("", name) and what.startswith(begins):
                same = held.setdefault((begins, why), [])
                same += [name] if name not in same else []
                break
    found = [f"- {begins} ({', '.join(names)}): {why}." for (begins, why), names in held.items()]
    return "\n".join(["Missed, and what was tried:", "", *found]) if found else ""
