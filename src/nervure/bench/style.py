"""How the reports of the demos look: one sheet for pages that need nothing else."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """
:root{color-scheme:light}
body{font:16px/1.55 system-ui,sans-serif;color:#16324f;background:#fff;max-width:1060px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.7rem;margin:0 0 .2rem}h2{font-size:1.15rem;margin:2.2rem 0 .4rem}
p.lead{color:#4a5c70;margin:.2rem 0 1.2rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:.8rem}
.tile{border:1px solid #dfe5ec;border-radius:8px;padding:.7rem .9rem}
.tile b{display:block;font-size:1.45rem;font-variant-numeric:tabular-nums}
.tile span{color:#4a5c70;font-size:.85rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.92rem}
th,td{text-align:right;padding:.3rem .6rem;border-bottom:1px solid #e4e8ed}
th:first-child,td:first-child{text-align:left}tr.model{font-weight:600;background:#f4effa}
.alert{border-left:4px solid #c0392b;padding:.5rem .9rem;margin:.6rem 0;background:#fdf4f2}
.alert.minor,.alert.warning{border-color:#c98a1b;background:#fdf9f0}
svg{width:100%;height:auto}details{margin:.8rem 0}summary{cursor:pointer}code{background:#f1f4f7;padding:.1rem .3rem;border-radius:4px}
"""
