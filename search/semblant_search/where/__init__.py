"""Filters over metadata: one expression language, one Python form, one tree, compiled for each engine.

    parse_where('label == "Sneaker" and 10 <= price < 100')
    (F("label") == "Sneaker") & F("price").between(10, 100)

What an expression may say, and what it means:

| expression | true where |
|---|---|
| `label == "Sneaker"` | the value is exactly this text; numbers compare as numbers, so `price == 3` finds 3 and 3.0 |
| `label != "Sneaker"` | `not (label == "Sneaker")`: also where there is no label |
| `price < 100`, `<=`, `>`, `>=` | numbers and dates only; false where there is no value |
| `10 <= price < 100` | one value lies between the bounds |
| `label in ["a", "b"]`, `not in` | equal to one of them; the list may mix types where the field's type is open |
| `startswith(label, "Sn")` | text that begins so; upper and lower case differ |
| `contains(title, "red")`, `"red" in title` | text that has this somewhere in it; upper and lower case differ |
| `on_sale`, `not on_sale` | a field of type bool alone: `on_sale == true` and its opposite |
| `exists(price)`, `price is not null` | there is a value: not missing, not null, not an empty list |
| `price is null`, `price == null` | there is none |
| `taken == "2024-05-01"` | on a datetime field: any time of that day, UTC; a full time means that instant |
| `taken <= "2024-05-01"` | up to and including that day; `<` before it, `>` after it, `>=` from its first moment on |
| `taken > date("2024-05-01T12:00:00Z")` | `date(…)` makes clear that it is a time, not text; no zone means UTC |
| `within(place, 52.3, 13.1, 52.7, 13.8)` | a place between south, west, north and east, in degrees |
| `near(place, 52.5, 13.4, 10)` | a place less than 10 kilometres from that latitude and longitude |
| `camera.model == "X100"` | nested keys |
| `field("odd name") == 1` | names that are no Python names; dots still separate nested keys |
| `… and …`, `… or …`, `not …`, `( … )` | as in Python, `not` binds tighter than `and`, `and` tighter than `or` |

Whole numbers compare exactly up to 64 bits on a field of whole numbers; decimals are 64-bit floats. A filter has at most
1,000,000 characters, 10,000 conditions, 64 levels of and/or/not, and 100,000 values in a list (10,000 on a field of decimals
or dates, where an engine takes them one by one). NumPy's scalars are taken as the Python values that they are.

A list-valued field matches if any of its values does; `not` turns the whole answer round. Expressions are Python
expressions in form only: they are read with the standard `ast` module and never evaluated.
"""

from __future__ import annotations

from .expression import And, Contains, Equals, Exists, Not, OneOf, Or, Range, StartsWith, Where
from .form import F, as_where
from .parser import parse_where
from .places import Near, Within

__all__ = [
    "And",
    "Contains",
    "Equals",
    "Exists",
    "F",
    "Near",
    "Not",
    "OneOf",
    "Or",
    "Range",
    "StartsWith",
    "Where",
    "Within",
    "as_where",
    "parse_where",
]
