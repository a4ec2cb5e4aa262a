"""Arithmetic, exactly, on a closed set of operators: an expression from a model is never evaluated as code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from reference_impl.tools.model import Tool, ToolContext, ToolError, ToolResult

_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_LONGEST = 200
_DIGITS = 12


def evaluate(expression: str) -> Fraction:
    """The value of an expression of numbers, `+ - * /` and parentheses. Raises `ToolError`."""
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ToolError("The expression is not arithmetic: use numbers, + - * / and parentheses.") from None
    return _value(tree.body)


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        # Through the text: 0.1 means one tenth.
        return Fraction(str(node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        return -_value(node.operand) if isinstance(node.op, ast.USub) else _value(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Div) and not right:
            raise ToolError("Division by zero.")
        return _OPERATORS[type(node.op)](left, right)
    raise ToolError("The expression is not arithmetic: use numbers, + - * / and parentheses.")


async def _run(_context: ToolContext, arguments: Mapping[str, Any]) -> ToolResult:
    try:
        value = evaluate(arguments["expression"])
    except (ValueError, OverflowError):
        raise ToolError("A number of the expression is not finite.") from None
    exact = value.denominator == 1
    return ToolResult({"value": str(value.numerator) if exact else f"{float(value):.{_DIGITS}g}"})


CALCULATOR = Tool(
    name="calculator",
    description="Evaluate arithmetic: numbers, + - * / and parentheses.",
    parameters={
        "type": "object",
        "required": ["expression"],
        "additionalProperties": False,
        "properties": {"expression": {"type": "string", "minLength": 1, "maxLength": _LONGEST}},
    },
    run=_run,
)
