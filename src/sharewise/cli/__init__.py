"""The command line: one verb a module, imported when it is called; errors become sentences and exit codes."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from sharewise import __version__
from sharewise.errors import SharewiseError, UserError, nearest

VERBS = {
    "init": "Read a table and write a commented study.yaml.",
    "audit": "Find what is wrong with the data before anything is trained.",
    "advise": "Ask of the data what a study could find, before training.",
    "run": "Carry out a study: verdict per task, report, bundle.",
    "report": "Write a run's report and print its answer.",
    "explain": "Why a task got worse in the shared model, by re-runs.",
    "remedy": "Run a study again with what removes the harms.",
    "predict": "Answer every task for the rows of a table.",
    "route": "Show or change which model of a bundle answers a task.",
    "schema": "Print the JSON Schema of study files.",
    "demo": "A complete small study on handwritten digits.",
}
"""Verb to what `--help` says of it; kept here so that help imports no verb."""

SHOWN_PROBLEMS = 10
INTERRUPTED = 130


class LazyGroup(click.Group):
    """Verbs that are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of a study's life."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command, imported now."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"sharewise.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, but an unknown verb is answered with the nearest one."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            ctx.fail(f"A verb must be known; however, '{args[0]}' is not. {nearest(args[0], VERBS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs, without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: sharewise init TABLE --task NAME --task NAME, then: sharewise run study.yaml",
)
@click.version_option(__version__, "--version", prog_name="sharewise", message="%(prog)s %(version)s")
def cli() -> None:
    """One table, several things to predict: which of them should share a model?

    Exit codes: 0 done; 1 the run failed; 2 usage, study file or data are wrong; 3 a gate that was asked for is not met.
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    sys.exit(answer(args))


def answer(args: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. Whatever the user can mend is a sentence on stderr, without a traceback."""
    try:
        result = cli.main(args=None if args is None else list(args), prog_name="sharewise", standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        say("Interrupted. Nothing is half-written; the same command goes on from the last finished run.")
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except UserError as error:
        for problem in error.problems[:SHOWN_PROBLEMS]:
            say(str(problem))
        if len(error.problems) > SHOWN_PROBLEMS:
            say(f"... and {len(error.problems) - SHOWN_PROBLEMS} more problems.")
        return error.exit_code
    except SharewiseError as error:
        say(str(error))
        return error.exit_code
    except BrokenPipeError:
        # The reader of stdout has gone (`| head`): silence the interpreter's own complaint at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        say(
            f"A run needs room on the disk; however, writing {error.filename or 'a file'} failed: the disk is full. "
            "Free some space and run the same command again."
        )
        return 1
    return result if isinstance(result, int) else 0


def say(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)
