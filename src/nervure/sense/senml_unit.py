"""Units of the SenML registry that UCUM writes otherwise (RFC 8428, section 12.1; RFC 8798)."""

from __future__ import annotations

__all__ = ["UCUM"]

UCUM = {
    "/": "1",
    "count": "1",
    "beats": "1",
    "pH": "1",
    "EL": "s",
    "1/s": "/s",
    "event/s": "/s",
    "1/min": "/min",
    "event/min": "/min",
    "beat/min": "/min",
    "%RH": "%",
    "%EL": "%",
    "/100": "%",
    "/1000": "[ppth]",
    "ppm": "[ppm]",
    "ppb": "[ppb]",
    "l": "L",
    "l/s": "L/s",
    "B": "By",
    "B/s": "By/s",
    "KiB": "KiBy",
    "MB/s": "MBy/s",
    "GB": "GBy",
    "lat": "deg",
    "lon": "deg",
    "VA": "V.A",
    "VAs": "V.A.s",
    "var": "V.A",
    "vars": "V.A.s",
    "kVA": "kV.A",
    "kvar": "kV.A",
    "VAh": "V.A.h",
    "varh": "V.A.h",
    "kVAh": "kV.A.h",
    "kvarh": "kV.A.h",
    "Ah": "A.h",
    "Wh": "W.h",
    "kWh": "kW.h",
    "Wh/km": "W.h/km",
}
"""Every other unit of the registry is a UCUM code as it stands."""
