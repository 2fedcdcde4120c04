"""A strict reader of the report's HTML: structure, accessibility and safety, with the standard library only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
SELF_CLOSED = {"line", "path", "rect", "circle", "use", "polyline"}
ALLOWED = (
    {"html", "head", "meta", "title", "style", "body", "header", "main", "footer", "nav", "section", "div", "p", "span"}
    | {"h1", "h2", "h3", "ul", "ol", "li", "a", "dl", "dt", "dd", "table", "caption", "thead", "tbody"}
    | {"tfoot", "tr", "th", "td"}
    | {"figure", "figcaption", "details", "summary", "pre", "code"}
    | {"svg", "defs", "pattern", "g", "line", "path", "rect", "circle", "use", "polyline", "text", "desc"}
)
PHRASE = {"p", "h1", "h2", "h3", "span", "summary", "figcaption", "dt"}
BLOCKS = {"p", "div", "ul", "ol", "dl", "table", "section", "figure", "h1", "h2", "h3", "details", "pre", "nav"}


@dataclass
class Element:
    """A start tag with its attributes, the text inside it, and its parent's tag."""

    tag: str
    attributes: dict[str, str]
    parent: str
    text: str = ""
    children: list[str] = field(default_factory=list)


class Page(HTMLParser):
    """The parsed page: every element in order, and what is wrong with the document."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.faults: list[str] = []
        self._open: list[Element] = []
        self.doctype = ""
        self.feed(text)
        self.close()
        if self._open:
            self.faults.append(f"never closed: {[e.tag for e in self._open]}")

    def handle_decl(self, decl: str) -> None:
        self.doctype = decl

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = Counter(name for name, _ in attrs)
        self.faults += [f"{tag} has {name} twice" for name, n in names.items() if n > 1]
        element = Element(tag, {k: v or "" for k, v in attrs}, self._open[-1].tag if self._open else "")
        if tag not in ALLOWED:
            self.faults.append(f"unexpected element {tag}")
        if tag in BLOCKS and any(e.tag in PHRASE for e in self._open):
            self.faults.append(f"{tag} inside {[e.tag for e in self._open if e.tag in PHRASE][-1]}")
        for name in element.attributes:
            if name.startswith("on") or name in ("style", "src", "srcset", "srcdoc", "action"):
                self.faults.append(f"{tag} carries {name}")
        href = element.attributes.get("href", "#")
        if not href.startswith("#"):
            self.faults.append(f"{tag} leads to {href}")
        if self._open:
            self._open[-1].children.append(tag)
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in SELF_CLOSED | {"svg"}:
            self.faults.append(f"{tag} is self-closed")
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1].tag != tag:
            self.faults.append(f"</{tag}> closes {self._open[-1].tag if self._open else 'nothing'}")
            return
        done = self._open.pop()
        if self._open:
            self._open[-1].text += done.text

    def handle_data(self, data: str) -> None:
        if self._open:
            self._open[-1].text += data

    def all(self, tag: str, kind: str = "") -> list[Element]:
        """Elements with a tag, and a class if one is given."""
        found = [e for e in self.elements if e.tag == tag]
        return [e for e in found if not kind or kind in e.attributes.get("class", "").split()]

    def checked(self) -> list[str]:
        """Faults of structure and of accessibility."""
        faults = list(self.faults)
        ids = Counter(e.attributes["id"] for e in self.elements if "id" in e.attributes)
        faults += [f"id {name} occurs {n} times" for name, n in ids.items() if n > 1]
        for element in self.elements:
            target = element.attributes.get("href", "")
            if target.startswith("#") and target[1:] not in ids:
                faults.append(f"{element.tag} leads to missing {target}")
            label = element.attributes.get("aria-labelledby")
            if label is not None and label not in ids:
                faults.append(f"label {label} is missing")
        faults += [f"{n} h1" for n in [len(self.all("h1"))] if n != 1]
        for svg in self.all("svg"):
            named = svg.children[:1] == ["title"] or svg.attributes.get("aria-hidden") == "true"
            if not named and svg.parent != "svg":
                faults.append("a drawing has no title")
        faults += [
            "a column head has no scope" for e in self.all("th") if e.attributes.get("scope") not in ("row", "col")
        ]
        if self.doctype.lower() != "doctype html":
            faults.append("no doctype")
        if not any(e.attributes.get("lang") for e in self.all("html")):
            faults.append("no language")
        return faults
