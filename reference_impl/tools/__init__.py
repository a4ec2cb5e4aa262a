"""The tools an agent may call. A tool checks nothing about its caller: `policies/tools.py` stands before it."""

from reference_impl.tools.calculator import CALCULATOR
from reference_impl.tools.ledger import LIST_ENTRIES, RECORD_ENTRY
from reference_impl.tools.model import Tool
from reference_impl.tools.search import SEARCH_ARTICLES

TOOLS: dict[str, Tool] = {
    tool.name: tool for tool in (CALCULATOR, SEARCH_ARTICLES, LIST_ENTRIES, RECORD_ENTRY)
}
