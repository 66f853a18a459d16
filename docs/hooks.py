"""What MkDocs does beside its own (`hooks` of mkdocs.yml): pages of elsewhere in the repository, pictures, and the routes.

The READMEs of the parts and the pictures of bench/ stay where they are and are in the site all the same; links among them lead
there. The table of routes is made of the service's OpenAPI.
"""

from __future__ import annotations

import ast
import posixpath
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {
    "search/README.md": "parts/search.md",
    "indexer/README.md": "parts/indexer.md",
    "exporter/README.md": "parts/exporter.md",
    "deploy/README.md": "parts/deploy.md",
    "CONTRIBUTING.md": "parts/contributing.md",
    "SECURITY.md": "parts/security.md",
    "CHANGELOG.md": "parts/changes.md",
    "README.md": "index.md",
}
"""Where a file of the repository is in the site."""
_LINK = re.compile(r"(?P<text>!?\[[^\]]*\])\((?P<target>(?!https?:|mailto:|#)[^)\s#]*)(?P<anchor>#[^)\s]*)?\)")
_MADE = {"<!-- routes -->": "routes", "<!-- benches -->": "benches"}
_METHODS = ("get", "post", "patch", "put", "delete")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of elsewhere, and the pictures."""
    for path, page in PAGES.items():
        if page != "index.md":
            files.append(File.generated(config, page, content=(ROOT / path).read_text(encoding="utf-8")))
    for picture in sorted((ROOT / "bench" / "pictures").iterdir()):
        files.append(File.generated(config, f"pictures/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn links within the repository into links within the site; what the site has not is named without a link."""
    here = page.file.src_uri
    source = next((path for path, name in PAGES.items() if name == here and here != "index.md"), f"docs/{here}")

    def link(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), found["target"]))
        inside = PAGES.get(target) or _within(target)
        if inside is None:
            return f"{found['text'][1:-1]}" if (ROOT / target).exists() else found[0]
        return f"{found['text']}({posixpath.relpath(inside, posixpath.dirname(here) or '.')}{found['anchor'] or ''})"

    markdown = _LINK.sub(link, markdown)
    for mark, function in _MADE.items():
        if mark in markdown:
            markdown = markdown.replace(mark, "\n".join(globals()[function]()))
    return markdown


def benches() -> Iterator[str]:
    """What each script of bench/ claims, in its own words."""
    yield "| script | claim |\n|---|---|"
    for path in sorted((ROOT / "bench").glob("[a-z]*.py")):
        said = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
        if said.startswith("Claim: "):
            claim = said.removeprefix("Claim: ").replace("\n", " ").replace("|", "\\|")
            yield f"| `python bench/{path.name}` | {claim} |"
    yield ""


def _within(target: str) -> str | None:
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    return f"pictures/{Path(target).name}" if target.startswith("bench/pictures/") else None


def routes() -> Iterator[str]:
    """Each route with what it takes and answers, as Markdown."""
    document = openapi()
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield from _route(f"{method.upper()} {path}", methods[method], document)


def _route(title: str, facts: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    yield f"### `{title}`\n\n{facts.get('summary', '')}.\n"
    if text := facts.get("description"):
        yield f"{text}\n"
    rows = [
        (f"`{found['name']}`", f"in the {found['in']}", found.get("description", "")) for found in facts.get("parameters", [])
    ]
    for kind, body in facts.get("requestBody", {}).get("content", {}).items():
        fields = _resolved(body.get("schema", {}), document).get("properties", {})
        rows += [(f"`{name}`", kind, _resolved(field, document).get("description", "")) for name, field in fields.items()]
    if rows:
        yield "| | where | |\n|---|---|---|"
        yield from ("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows)
        yield ""
    yield f"Answers: {', '.join(facts['responses'])}.\n"


def _resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return {**document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], **schema}
    return schema


def openapi() -> dict[str, Any]:
    """The document of a service over an empty collection."""
    from contextlib import closing

    from semblant_search.store import open_database
    from semblant_search.web import create_app

    with tempfile.TemporaryDirectory() as folder, closing(open_database(folder, create=True)) as database:
        found: dict[str, Any] = create_app(database).openapi()
    return found
