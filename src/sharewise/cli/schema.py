"""`sharewise schema`: print the JSON Schema of study files."""

from __future__ import annotations

import json

import click


@click.command("schema", short_help="Print the JSON Schema of study files.")
def command() -> None:
    """Print the JSON Schema of study files, for editors.

    Save it with: sharewise schema > study.schema.json, and begin a study file with the line
    # yaml-language-server: $schema=study.schema.json
    """
    from sharewise.study.json_schema import json_schema

    print(json.dumps(json_schema(), indent=1))
