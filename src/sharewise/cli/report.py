"""`sharewise report`: the answer of a run, as a table here and as a page."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report", short_help="Write a run's report and print its answer.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="Where to write the page [default: RUN/report.html]."
)
@click.option("--open", "show_page", is_flag=True, help="Open the page in the browser.")
@click.option("--quiet", "-q", is_flag=True, help="Write the page and print nothing.")
def command(run: Path, output: Path | None, show_page: bool, quiet: bool) -> None:
    """Write the report of RUN, a run directory, finished or not, and print its answer."""
    from sharewise import report

    records = report.load(run)
    page = report.write(run, output)
    if output is None:
        report.write_decision(run)
    if not quiet:
        report.show(records)
        click.echo(f"\nReport: {page}")
    if show_page:
        click.launch(str(page))
