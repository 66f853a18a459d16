"""From an expression to the filter tree, by the standard `ast` module; nothing is ever evaluated."""

from __future__ import annotations

import ast
import json
from functools import lru_cache
from typing import TYPE_CHECKING

from semblant_search.errors import WhereError

from .expression import (
    And,
    Contains,
    Equals,
    Exists,
    Not,
    Or,
    Range,
    StartsWith,
    Where,
    check_name,
    one_of,
)
from .places import Near, Within
from .source import Source
from .values import Origin, Value, parse_time, shown

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["parse_where"]

MAX_LENGTH = 1_000_000
"""Characters, so that a filter cannot fill the memory."""

_NEGATIONS: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.NotEq: ast.Eq, ast.NotIn: ast.In, ast.IsNot: ast.Is}
_FLIPPED = {"gt": "lt", "gte": "lte", "lt": "gt", "lte": "gte"}
_ORDER: dict[type[ast.cmpop], str] = {ast.Gt: "gt", ast.GtE: "gte", ast.Lt: "lt", ast.LtE: "lte"}
_CONSTANTS = {"true": True, "false": False, "null": None}

_FORMS = {
    "exists": "exists(price)",
    "startswith": 'startswith(label, "text")',
    "contains": 'contains(label, "text")',
    "within": "within(place, south, west, north, east)",
    "near": "near(place, latitude, longitude, kilometres)",
}


def parse_where(text: str) -> Where:
    """Read an expression such as `label == "Sneaker" and 10 <= price < 100`.

    The last ones read are kept, so that the same text costs nothing again.

    Raises:
        WhereError: what is wrong, and the column where; never another exception, whatever the text. Also for more than
            1,000,000 characters, 10,000 conditions, 100,000 values in a list, or 64 levels of and/or/not.
    """
    if not isinstance(text, str):
        raise WhereError(f"filter {shown(text)}: expected an expression in a string")
    if len(text) > MAX_LENGTH:
        raise WhereError(f"a filter of {len(text):,} characters; the limit is {MAX_LENGTH:,}")
    return _short(text) if len(text) <= _SHORT else _long(text)


def _parsed(text: str) -> Where:
    if not text.strip():
        raise WhereError("the filter is empty; write an expression such as 'price < 100', or leave the filter out")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise WhereError(f"the filter is not valid Unicode: half of a surrogate pair at character {error.start + 1}") from None
    if "\0" in text:  # Python's parser fails on it in different ways
        raise WhereError("the filter holds a null character", expression=text, column=text.index("\0"))
    return _Parser(Source(text)).parse()


_SHORT = 4096
_short = lru_cache(maxsize=256)(_parsed)
_long = lru_cache(maxsize=2)(_parsed)  # a long filter takes megabytes


class _Parser:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text

    def parse(self) -> Where:
        tree = self.source.parse()
        try:
            return self._condition(tree)
        except RecursionError:
            raise self.source.too_deep() from None

    def _error(self, node: ast.AST, message: str) -> WhereError:
        return WhereError(message, expression=self.text, column=self.source.column(node))

    def _origin(self, name: ast.AST, value: ast.AST | None = None) -> Origin:
        column = self.source.column(name)
        return Origin(self.text, column, self.source.column(value) if value is not None else column)

    def _condition(self, node: ast.expr) -> Where:
        if isinstance(node, ast.BoolOp):
            terms = tuple(self._condition(value) for value in node.values)
            return self._built(node, And if isinstance(node.op, ast.And) else Or, terms)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return self._negated(node, self._condition(node.operand))
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id != "field":
            return self._call(node, node.func.id)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitAnd, ast.BitOr)):
            word = "and" if isinstance(node.op, ast.BitAnd) else "or"
            raise self._error(
                node, f"in an expression, conditions are combined with `{word}`; & and | belong to the Python form"
            )
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
            raise self._error(node, "in an expression, a condition is turned round with `not`; ~ belongs to the Python form")
        name = self._name(node)
        if name is not None:
            origin = self._origin(node)
            return Equals(name, True, origin)
        raise self._error(node, f"expected a condition, such as price < 100, not {_describe(node)}{_reserved(node)}")

    def _built(self, node: ast.expr, kind: type[And] | type[Or], terms: tuple[Where, ...]) -> Where:
        try:
            return kind(terms)
        except WhereError as error:
            raise self._error(node, str(error)) from None

    def _negated(self, node: ast.expr, term: Where) -> Where:
        try:
            return ~term
        except WhereError as error:
            raise self._error(node, str(error)) from None

    def _refuse_bitwise(self, node: ast.expr) -> None:
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitAnd, ast.BitOr)):
            word = "and" if isinstance(node.op, ast.BitAnd) else "or"
            raise self._error(
                node, f"in an expression, conditions are combined with `{word}`; & and | belong to the Python form"
            )

    def _comparison(self, node: ast.Compare) -> Where:
        for operand in (node.left, *node.comparators):
            self._refuse_bitwise(operand)  # & binds tighter than ==, so that `a == 1 & b == 2` is a chain
        if len(node.ops) > 1:
            return self._chain(node)
        left, operator, right = node.left, node.ops[0], node.comparators[0]
        negation = _NEGATIONS.get(type(operator))
        if negation is not None:
            return self._negated(node, self._comparison(ast.copy_location(ast.Compare(left, [negation()], [right]), node)))
        if isinstance(operator, ast.In):
            return self._membership(left, right)
        name, flipped = self._name(left), False
        value_node = right
        if name is None:
            name, flipped, value_node = self._name(right), True, left
        elif self._name(right) is not None:
            raise self._error(
                right, f"{ast.unparse(right)}: expected a value; text needs quotes, and two fields cannot be compared"
            )
        if name is None:
            hint = _reserved(left) or _reserved(right) or _quoted(left)
            raise self._error(left, f"expected a field name on one side of the comparison, such as price < 100{hint}")
        origin, value = self._origin(right if flipped else left, value_node), self._value(value_node)
        if isinstance(operator, ast.Is) and value is not None:
            raise self._error(value_node, "`is` asks for null only; compare values with ==")
        if isinstance(operator, (ast.Eq, ast.Is)):
            return Not(Exists(name, origin)) if value is None else Equals(name, value, origin)
        bound = _ORDER[type(operator)]
        if value is None:
            raise self._error(value_node, "null has no order; write `is null` or `is not null`")
        return Range(name, **{_FLIPPED[bound] if flipped else bound: value}, origin=origin)

    def _chain(self, node: ast.Compare) -> Where:
        names = [type(operator) for operator in node.ops]
        middle = self._name(node.comparators[0])
        rising, falling = all(n in (ast.Lt, ast.LtE) for n in names), all(n in (ast.Gt, ast.GtE) for n in names)
        if len(names) != 2 or middle is None or not (rising or falling):
            hint = _reserved(node.comparators[0])
            raise self._error(node, f"a chain of comparisons reads low <= field < high; join others with `and`{hint}")
        first, last = self._value(node.left), self._value(node.comparators[1])
        if first is None or last is None:
            raise self._error(node, "null has no order; write `is null` or `is not null`")
        bounds = {_FLIPPED[_ORDER[names[0]]]: first, _ORDER[names[1]]: last}
        return Range(middle, **bounds, origin=self._origin(node.comparators[0], node.left))

    def _membership(self, left: ast.expr, right: ast.expr) -> Where:
        name = self._name(left)
        if isinstance(right, (ast.List, ast.Tuple, ast.Set)):
            if name is None:
                hint = _reserved(left)
                raise self._error(left, f'expected a field name before `in`, such as label in ["a", "b"]{hint}')
            values = tuple(self._value(element) for element in right.elts)
            return one_of(name, values, self._origin(left, right))
        field = self._name(right)
        if field is None:
            raise self._error(right, f"expected a list of values or a field name after `in`{_reserved(right)}")
        if name is not None:
            raise self._error(left, f'{ast.unparse(left)}: text needs quotes, such as "red" in {ast.unparse(right)}')
        text = self._value(left)
        if not isinstance(text, str):
            raise self._error(left, f"only text can be `in` a field; compare other values with {ast.unparse(right)} == …")
        return Contains(field, text, self._origin(right, left))

    def _call(self, node: ast.Call, function: str) -> Where:
        form = _FORMS.get(function)
        if form is None:
            there = ", ".join(_FORMS)
            raise self._error(node, f"{function}: unknown function; there are {there}, date and field")
        if len(node.args) != form.count(",") + 1 or node.keywords:
            raise self._error(node, f"{function}: expected the form {form}")
        name = self._name(node.args[0])
        if name is None:
            what = f"{_describe(node.args[0])}{_reserved(node.args[0])}"
            raise self._error(node.args[0], f"{function}: expected a field name first, not {what}")
        if function == "exists":
            return Exists(name, self._origin(node.args[0]))
        if function in ("within", "near"):
            return self._place(node, function, name)
        text = self._value(node.args[1])
        if not isinstance(text, str):
            raise self._error(node.args[1], f"{function}: expected text in quotes, not {_describe(node.args[1])}")
        return (StartsWith if function == "startswith" else Contains)(name, text, self._origin(node.args[0], node.args[1]))

    def _place(self, node: ast.Call, function: str, name: str) -> Where:
        numbers = [self._value(value) for value in node.args[1:]]
        for value, given in zip(node.args[1:], numbers, strict=True):
            if isinstance(given, bool) or not isinstance(given, (int, float)):
                raise self._error(value, f"{function}: expected a number, as in {_FORMS[function]}")
        kind: Callable[..., Where] = Within if function == "within" else Near
        return kind(name, *numbers, origin=self._origin(node.args[0], node.args[1]))

    def _name(self, node: ast.expr) -> str | None:
        """A field name, or None for what can only be a value."""
        if isinstance(node, ast.Name):
            return None if node.id in _CONSTANTS else node.id
        if isinstance(node, ast.Attribute):
            parts = [node.attr]
            inner = node.value
            while isinstance(inner, ast.Attribute):
                parts.append(inner.attr)
                inner = inner.value
            if not isinstance(inner, ast.Name):
                raise self._error(node, f"expected a field name, not {_describe(inner)} with a dot behind it{_reserved(inner)}")
            return self._checked(".".join([inner.id, *reversed(parts)]), node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "field":
            if len(node.args) != 1 or node.keywords or not _is_text(node.args[0]):
                raise self._error(node, 'field: expected the form field("odd name")')
            return self._checked(node.args[0].value, node.args[0])  # type: ignore[attr-defined]
        return None

    def _checked(self, name: str, node: ast.expr) -> str:
        try:
            check_name(name)
        except WhereError as error:
            raise self._error(node, str(error)) from None
        return name

    def _value(self, node: ast.expr) -> Value | None:
        if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, (str, int, float))):
            return node.value
        if isinstance(node, ast.Name):
            if node.id in _CONSTANTS:
                return _CONSTANTS[node.id]
            raise self._error(node, f'{node.id}: expected a value; text needs quotes: "{node.id}"')
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)) and _is_number(node.operand):
            number = node.operand.value  # type: ignore[attr-defined]
            return -number if isinstance(node.op, ast.USub) else number  # type: ignore[no-any-return]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "date":
            time = parse_time(node.args[0].value) if len(node.args) == 1 and _is_text(node.args[0]) else None  # type: ignore[attr-defined]
            if time is None or node.keywords:
                raise self._error(node, 'date: expected the form date("2024-05-01") or date("2024-05-01T12:00:00Z")')
            return time
        raise self._error(node, f"expected text in quotes, a number, true, false, null or date(…), not {_describe(node)}")


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool)


def _reserved(node: ast.expr) -> str:
    """The hint for a word that may be meant as a field name, but is a value, or means something to Python."""
    word = None
    if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool)):
        word = str(node.value)
    elif isinstance(node, ast.Name) and node.id in _CONSTANTS:
        word = node.id
    elif isinstance(node, (ast.Yield, ast.YieldFrom, ast.Await, ast.Lambda)):
        word = type(node).__name__.lower().removesuffix("from")
    return f'; a field of this name is written field("{word}")' if word else ""


def _quoted(node: ast.expr) -> str:
    """The hint for text where a field is expected: a name that is no word is often put in quotes."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        return f"; a field of this name is written field({json.dumps(node.value, ensure_ascii=False)})"
    return ""


def _describe(node: ast.expr) -> str:
    kinds: dict[type[ast.expr], str] = {
        ast.Call: "a function call",
        ast.Lambda: "a lambda",
        ast.Attribute: "an attribute",
        ast.Subscript: "a subscript",
        ast.BinOp: "arithmetic",
        ast.List: "a list",
        ast.Tuple: "a list",
        ast.Set: "a list",
        ast.Compare: "a comparison",
        ast.BoolOp: "a condition",
        ast.Constant: "a value",
        ast.Name: "a name",
        ast.JoinedStr: "a formatted string",
        ast.IfExp: "a conditional",
    }
    return next((text for kind, text in kinds.items() if isinstance(node, kind)), "this")
