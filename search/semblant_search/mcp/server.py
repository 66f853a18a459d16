"""The server: tools of a collection, behind the official SDK."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import ValidationError

from .arguments import refused, unknown_arguments, unknown_tool
from .naming import AllowedFiles
from .tools import ReadingTools, WritingTools

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from semblant_search.client import SearchClient

__all__ = ["create_server"]

_READING = (
    "describe_collection",
    "search_by_picture",
    "search_by_details",
    "list_pictures",
    "list_values",
    "find_duplicates",
    "show_picture",
)
_WRITING = {"add_picture": False, "update_metadata": True, "delete_pictures": True}
"""And whether something is lost."""
_INSTRUCTIONS = (
    "Finds pictures that look alike in a collection of the user's. Begin with describe_collection for its metadata fields. "
    "Ask for thumbnails only where you must see the pictures."
)


class _Server(MCPServer[None]):
    """The SDK's, which passes over arguments that a tool does not know, and hands pydantic's text on for the others."""

    async def call_tool(self, name: str, arguments: dict[str, Any], *more: Any, **options: Any) -> Any:
        """As the SDK's. Raises `ToolError` in a line for each argument that is not what the tool takes."""
        schemas = {tool.name: tool.input_schema for tool in await self.list_tools()}
        if name not in schemas:
            raise ToolError(unknown_tool(name, schemas))
        if unknown := unknown_arguments(name, schemas[name], arguments):
            raise ToolError(unknown)
        try:
            return await super().call_tool(name, arguments, *more, **options)
        except ToolError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise
            raise ToolError(refused(name, schemas[name], arguments, error.__cause__)) from None


def create_server(
    client: SearchClient, *, roots: Sequence[Path] = (), write: bool = False, remote: bool = False
) -> MCPServer[None]:
    """The server of a client's collection; `run()` speaks over stdin and stdout.

    Args:
        client: of the collection; it stays yours to close.
        roots: folders whose files may be read; none means those that were indexed.
        write: whether there are tools that change the collection.
        remote: the collection is a service's: its sources are folders of another machine.
    """
    files = AllowedFiles(client, roots, remote=remote)
    tools = WritingTools(client, files) if write else ReadingTools(client, files)
    server = _Server(
        "semblant", title="Semblant", instructions=_INSTRUCTIONS, version=version("semblant-search"), log_level="WARNING"
    )
    for name in _READING:
        reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)
        server.add_tool(getattr(tools, name), annotations=reads, structured_output=False)
    for name, loses in _WRITING.items() if write else ():
        writes = ToolAnnotations(read_only_hint=False, destructive_hint=loses, idempotent_hint=True, open_world_hint=False)
        server.add_tool(getattr(tools, name), annotations=writes, structured_output=False)
    return server
