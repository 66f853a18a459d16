"""The command line: one command, `semblant`, to which every installed part adds its own through `semblant.commands`."""

from __future__ import annotations

from .group import command_errors, main, semblant

__all__ = ["command_errors", "main", "semblant"]
