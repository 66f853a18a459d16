"""A collection as tools for language models, by the Model Context Protocol: `semblant mcp`.

Needs the extra `[mcp]`: `pip install 'semblant-search[mcp,edge,orb]'`.
"""

from semblant_search.errors import MissingExtra

try:
    from .server import create_server
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] not in ("mcp", "mcp_types", "pydantic"):
        raise
    raise MissingExtra("the MCP server", "semblant-search[mcp]") from error

__all__ = ["create_server"]
