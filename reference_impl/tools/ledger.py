"""A ledger of money: the tools with a side effect that is stored, and the one that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reference_impl.store.entries import Entry
from reference_impl.tools.model import Tool, ToolContext, ToolResult


async def _record(context: ToolContext, arguments: Mapping[str, Any]) -> ToolResult:
    entry = Entry(context.call_id, arguments["amount"], arguments["currency"], arguments.get("memo", ""))
    await context.entries.add(context.principal, context.run_id, entry)
    return ToolResult({"entry_id": entry.id})


async def _list(context: ToolContext, arguments: Mapping[str, Any]) -> ToolResult:
    entries = await context.entries.of(context.principal, arguments.get("memo"))
    return ToolResult(
        [{"entry_id": e.id, "amount": e.amount, "currency": e.currency, "memo": e.memo} for e in entries]
    )


_MEMO = {"type": "string", "maxLength": 200}

RECORD_ENTRY = Tool(
    name="record_entry",
    description="Record an amount of money in the caller's ledger. This is an action: it needs an approval.",
    parameters={
        "type": "object",
        "required": ["amount", "currency"],
        "additionalProperties": False,
        "properties": {
            "amount": {"type": "string", "pattern": "^-?[0-9]{1,12}(\\.[0-9]{1,4})?$"},
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
            "memo": _MEMO,
        },
    },
    run=_record,
    acts=True,
    requires_approval=True,
)
LIST_ENTRIES = Tool(
    name="list_entries",
    description="List the caller's ledger, newest first; with memo only entries that have it.",
    parameters={"type": "object", "additionalProperties": False, "properties": {"memo": _MEMO}},
    run=_list,
)
