"""The click group that finds its commands through entry points and imports one only when it is invoked."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from contextlib import contextmanager
from difflib import get_close_matches
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import click

from semblant_search.errors import SemblantError
from semblant_search.shown import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import EntryPoint

__all__ = ["KNOWN", "CommandGroup", "Known", "command_errors", "main", "semblant", "topics"]

ENTRY_POINTS = "semblant.commands"


class Known(NamedTuple):
    """A command that Semblant's own parts provide: what it is for, and what to install to have it."""

    help: str
    distribution: str


KNOWN = {
    "open": Known("Make a folder of pictures searchable, and open the page to search them on.", "semblant-indexer"),
    "data": Known("Fetch picture sets to try Semblant on.", "semblant-exporter"),
    "learn": Known("Make the encoder that suits your pictures, in one command.", "semblant-exporter"),
    "train": Known("Train an encoder on a folder of pictures, without labels.", "semblant-exporter"),
    "export": Known("Write a trained model as one file, encoder.onnx.", "semblant-exporter"),
    "extract": Known("Make an encoder of a pretrained network, without training.", "semblant-exporter"),
    "quantize": Known("Make a smaller encoder of an encoder.onnx.", "semblant-exporter"),
    "evaluate": Known("Measure how well an encoder finds pictures of the same label.", "semblant-exporter"),
    "compare": Known("Say which encoder finds your pictures best, and what it costs.", "semblant-exporter"),
    "restore": Known("Write what a trained decoder makes of pictures.", "semblant-exporter"),
    "index": Known("Index a folder of pictures, or a list of them.", "semblant-indexer"),
    "retry": Known("Try the pictures again that failed.", "semblant-indexer"),
    "failures": Known("List the pictures that failed; accept those that are to stay so.", "semblant-indexer"),
    "status": Known("Show what is indexed, what failed and why, from the ledger.", "semblant-indexer"),
    "generations": Known("List the generations of a collection.", "semblant-indexer"),
    "rollback": Known("Serve an earlier generation again.", "semblant-indexer"),
    "vocabulary": Known("Learn the visual words of a collection again.", "semblant-indexer"),
    "search": Known("Find the pictures that look like one.", "semblant-search"),
    "info": Known("Show what a database holds.", "semblant-search"),
    "count": Known("Count the pictures that match a filter.", "semblant-search"),
    "facet": Known("List the values of a metadata field with their counts.", "semblant-search"),
    "duplicates": Known("Group the files that are one and the same picture.", "semblant-search"),
    "map": Known("Lay all pictures out on a map, so that those that look alike lie together.", "semblant-indexer"),
    "cluster": Known(
        "Sort all pictures into clusters of those that look alike.",
        "semblant-indexer",
    ),
    "outliers": Known("List the pictures that lie far from all others.", "semblant-indexer"),
    "delete": Known("Remove pictures from a collection.", "semblant-search"),
    "sources": Known("List the sources of a collection; remove, rename or relocate one.", "semblant-search"),
    "serve": Known("Serve a collection over HTTP.", "semblant-search"),
    "mcp": Known("Serve a collection to a language model, by MCP.", "semblant-search"),
    "keys": Known("Make, list and revoke the keys of a service.", "semblant-search"),
    "jobs": Known("List, start, follow and cancel the jobs of a service.", "semblant-search"),
    "push": Known("Copy a collection from a directory to a server.", "semblant-search"),
    "pull": Known("Copy a collection from a server into a directory.", "semblant-search"),
    "snapshot": Known("Write a collection into one file.", "semblant-search"),
    "restore-snapshot": Known("Bring a collection back from a file of `semblant snapshot`.", "semblant-search"),
    "doctor": Known("Say what is installed, what the machine has, and whether a database answers.", "semblant-search"),
}
"""In the order of work. The help repeats the first line of each command's own, so that `semblant --help` imports none."""

_TOPICS = {
    "Make encoders": (),
    "Index": (),
    "Search": ("map", "cluster", "outliers"),
    "Serve": ("serve", "keys", "jobs"),
    "Look after": (
        *("sources", "generations", "rollback", "delete"),
        *("push", "pull", "snapshot", "restore-snapshot", "doctor"),
    ),
    "Of other packages": (),
}
"""Headings of the help in their order, with what is not under that of its distribution."""
_TOPIC_OF = {"semblant-exporter": "Make encoders", "semblant-indexer": "Index", "semblant-search": "Search"}


class _Failure(click.ClickException):
    """A library error on its way to the user: `Error: …` on stderr and the error's own exit code."""

    def __init__(self, error: SemblantError) -> None:
        super().__init__(str(error))
        self.exit_code = error.exit_code  # type: ignore[misc]  # click declares it for the class, and reads it here

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"{click.style('Error:', fg='red', bold=True)} {self.message}", file=file, err=file is None)


@contextmanager
def command_errors() -> Iterator[None]:
    """Turn a `SemblantError` into its message on stderr and its exit code. A context manager, and a decorator."""
    try:
        yield
    except SemblantError as error:
        raise _Failure(error) from error


class CommandGroup(click.Group):
    """A group whose commands are entry points of the group `semblant.commands`.

    Listing them imports none. A known command whose part is not installed says how to install it.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Known commands in the order of work, then those of other packages by name."""
        return [*KNOWN, *sorted(set(_entry_points()) - set(KNOWN))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command itself, imported now."""
        entry = _entry_points().get(cmd_name)
        if entry is None:
            return _missing(cmd_name) if cmd_name in KNOWN else None
        try:
            command = entry.load()
        except ModuleNotFoundError as error:
            return _missing(cmd_name, f" (no module named {error.name!r})")
        if not isinstance(command, click.Command):
            raise click.ClickException(f"entry point {entry.value!r} of command {cmd_name!r} is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line for each command; only those of other packages are imported to be asked."""
        installed = _entry_points()
        rows = []
        for name in self.list_commands(ctx):
            if name in KNOWN:
                missing = "" if name in installed else f"  [pip install {KNOWN[name].distribution}]"
                rows.append((name, KNOWN[name].help + missing))
            else:
                command = self.get_command(ctx, name)
                rows.append((name, command.get_short_help_str(90) if command else ""))
        width = max(len(name) for name, _ in rows)
        for topic in _TOPICS:
            if told := [(name.ljust(width), text) for name, text in rows if _topic(name) == topic]:
                with formatter.section(topic):
                    formatter.write_dl(told)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of that name; where there is none, the one that may have been meant is named."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            meant = get_close_matches(name.lower(), self.list_commands(ctx), n=1)
            hint = f"Did you mean {meant[0]!r}?" if meant else "`semblant --help` lists them."
            raise click.UsageError(f"No such command {shown(name)}. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; library errors become messages whether or not it cares for them itself."""
        with command_errors():
            return super().invoke(ctx)


@click.group(
    name="semblant",
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="`semblant COMMAND --help` explains one. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but some images "
    "could not be used.",
)
@click.version_option(package_name="semblant-search", message="semblant %(version)s")
def semblant() -> None:
    """Find the images that look alike: train an encoder on your own pictures, index them in Qdrant, search them."""


def main() -> None:
    """The entry point of `semblant`."""
    # Pillow warns of damaged metadata of pictures that it decodes all the same: no news to a user.
    warnings.filterwarnings("ignore", module="PIL")
    logging.getLogger("tifffile").addHandler(logging.NullHandler())  # which logs what Pillow warns of
    try:
        code = semblant.main(prog_name="semblant", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("\nInterrupted.", err=True)
        code = 130  # 128 + SIGINT, what shells expect
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader went away (`| head`); the interpreter's own last flush must not complain. As click ends it elsewhere: 1.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    # A command that returns something did not choose an exit code; click's own exits are integers.
    sys.exit(code if isinstance(code, int) else 0)


def _entry_points() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}


def _topic(name: str) -> str:
    """The heading under which the help has a command."""
    if name not in KNOWN:
        return "Of other packages"
    return next((topic for topic, names in _TOPICS.items() if name in names), _TOPIC_OF[KNOWN[name].distribution])


def topics() -> dict[str, list[str]]:
    """Semblant's own commands under the headings of its help."""
    return {topic: found for topic in _TOPICS if (found := [name for name in KNOWN if _topic(name) == topic])}


def _missing(name: str, why: str = "") -> click.Command:
    """Stands in for a command that cannot be imported, and takes any arguments to say so."""
    known = KNOWN.get(name)
    line = f"; install it with: pip install {known.distribution}" if known else ""

    @click.command(
        name,
        help=f"Not installed{line}",
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "allow_interspersed_args": False},
    )
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def missing(arguments: tuple[str, ...]) -> None:  # noqa: ARG001
        raise click.ClickException(f"`semblant {name}` is not installed{why}{line}")

    return missing
