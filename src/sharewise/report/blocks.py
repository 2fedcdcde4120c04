"""What a page is made of: a section holds blocks, and the template knows how each kind of block looks.

Text is plain and escaped by the template; only drawings are `Markup`. A cell or figure that shows a number names the
record it comes from in `source`, a JSON pointer such as "verdicts.json#/3/comparison/effect".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sharewise.report.sentences import Sentence


@dataclass(frozen=True)
class Cell:
    """A table cell: its main text, an optional drawing before it, a smaller note under it, and its source."""

    text: str = ""
    note: str = ""
    source: str = ""
    drawing: Markup | None = None
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """Rows under column heads. The first cell of a row heads it. `shape` is "cards" (rows turn into cards on a
    phone), "scroll" (scrolls inside itself) or "forest". `foot` is drawn as a last row that is not data."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    shape: str = "cards"
    foot: tuple[Cell, ...] = ()
    block: str = "table"


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str
    block: str = "heading"


@dataclass(frozen=True)
class Paragraph:
    """Sentences in a row, each with its sources."""

    sentences: tuple[Sentence, ...]
    tone: str = ""
    block: str = "paragraph"


@dataclass(frozen=True)
class Figure:
    """A drawing with its caption. `scroll` keeps its size and lets it scroll inside itself on a phone."""

    drawing: Markup
    caption: str = ""
    source: str = ""
    scroll: bool = False
    block: str = "figure"


@dataclass(frozen=True)
class Grid:
    """Small multiples: figures side by side, as many in a row as there is room for."""

    figures: tuple[Figure, ...]
    block: str = "grid"


@dataclass(frozen=True)
class LegendItem:
    """A mark and what it means."""

    drawing: Markup
    text: str


@dataclass(frozen=True)
class Legend:
    """What the marks of the figures below mean."""

    items: tuple[LegendItem, ...]
    block: str = "legend"


@dataclass(frozen=True)
class Tile:
    """A number that stands for itself, with what it counts."""

    value: str
    label: str
    source: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Tiles:
    """Key numbers side by side."""

    tiles: tuple[Tile, ...]
    block: str = "tiles"


@dataclass(frozen=True)
class Chip:
    """A task in the drawing of the plan: its name, the mark of its verdict, and a note."""

    text: str
    note: str = ""
    drawing: Markup | None = None
    source: str = ""


@dataclass(frozen=True)
class Team:
    """A model and the tasks it answers."""

    title: str
    note: str
    chips: tuple[Chip, ...]
    kind: str


@dataclass(frozen=True)
class Teams:
    """The plan that ships: shared models first, then what stays alone."""

    teams: tuple[Team, ...]
    block: str = "teams"


@dataclass(frozen=True)
class Notice:
    """Something found, with why it matters and what to do. `kind` is error, warning or info."""

    kind: str
    title: str
    lines: tuple[tuple[str, str], ...] = ()
    source: str = ""


@dataclass(frozen=True)
class Notices:
    """A list of notices, the worst first."""

    notices: tuple[Notice, ...]
    block: str = "notices"


@dataclass(frozen=True)
class Fact:
    """A term with what is on record for it."""

    term: str
    text: str
    source: str = ""


@dataclass(frozen=True)
class Facts:
    """Terms and facts, one under the other."""

    facts: tuple[Fact, ...]
    block: str = "facts"


@dataclass(frozen=True)
class Code:
    """Text as it stands in a file."""

    text: str
    label: str
    block: str = "code"


@dataclass(frozen=True)
class Fold:
    """Details behind a line that opens them; always open in print."""

    title: str
    blocks: tuple[Block, ...]
    block: str = "fold"


@dataclass(frozen=True)
class Question:
    """A question with its answer: sentences, each with the number of its reference, a command, more sentences, and
    blocks with numbers."""

    title: str
    said: tuple[tuple[Sentence, int], ...]
    command: str = ""
    after: tuple[tuple[Sentence, int], ...] = ()
    blocks: tuple[Block, ...] = ()
    block: str = "question"


@dataclass(frozen=True)
class Reference:
    """What a numbered sentence rests on: pointers with their values, and how many more there are."""

    number: int
    sources: tuple[tuple[str, str], ...]
    more: int = 0


@dataclass(frozen=True)
class References:
    """The numbered list that sentences lead to."""

    references: tuple[Reference, ...]
    block: str = "references"


Block = (
    Table
    | Heading
    | Paragraph
    | Figure
    | Grid
    | Legend
    | Tiles
    | Teams
    | Notices
    | Facts
    | Code
    | Fold
    | Question
    | References
)


@dataclass(frozen=True)
class Section:
    """A heading with its blocks; `anchor` is its id on the page."""

    anchor: str
    title: str
    lead: str
    blocks: tuple[Block, ...]


def say(rule: str, text: str, *sources: str) -> Sentence:
    """A sentence of the page itself, with its sources."""
    return Sentence(rule, text, sources)


def paragraph(sentences: Sequence[Sentence | None], tone: str = "") -> tuple[Paragraph, ...]:
    """One paragraph of the sentences that have something to say; none where no sentence has."""
    made = tuple(sentence for sentence in sentences if sentence is not None)
    return (Paragraph(made, tone),) if made else ()
