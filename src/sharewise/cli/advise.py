"""`sharewise advise`: is a study worth its time, by the data alone?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sharewise.study.advise import Checklist

_MARK = {"good": "ok", "note": "note", "caution": "caution", "stop": "stop"}
_STYLE = {"good": "green", "note": "cyan", "caution": "yellow", "stop": "bold red"}


@click.command("advise", short_help="Ask of the data what a study could find, before training.")
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Of stdout."
)
@click.option("--budget", type=click.Choice(["quick", "standard", "thorough"]), help="Override the study's budget.")
def command(study: Path, form: str, budget: str | None) -> None:
    """Answer from the data of STUDY, a study.yaml, in seconds and without training: do the tasks share inputs and rows,
    are they of like size, is there a simpler tool, and what can be decided with these test rows at this budget?
    """
    from sharewise.study.file import load

    declared = load(study)
    if budget is not None:
        declared = declared.with_budget(budget)
    from sharewise.records import to_json
    from sharewise.study.advise import advise
    from sharewise.tables.read import read

    found = advise(declared, read(declared.data_path))
    if form == "json":
        click.echo(to_json(found), nl=False)
        return
    _show(found)


def _show(found: Checklist) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(found.conclusion, style="bold"))
    for advice in found.advice:
        console.print()
        mark = Text(f"[{_MARK[advice.level]}] ", style=_STYLE[advice.level])
        console.print(mark + Text(advice.question, style="bold"))
        console.print(Text(f"  {advice.answer}"))
        if advice.remedy:
            console.print(Text(f"  -> {advice.remedy}"))
