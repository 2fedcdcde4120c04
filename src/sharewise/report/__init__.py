"""A study's records as one self-contained HTML page, a terminal table, and sentences that carry their sources.

Looks only: reads the frozen JSON records of a run directory, finished or not, and never imports torch.
"""

from __future__ import annotations

from sharewise.report.html import render, write
from sharewise.report.load import StudyRecords, load
from sharewise.report.markdown import decision_text, write_decision
from sharewise.report.sentences import Sentence, answer
from sharewise.report.terminal import show

__all__ = ["Sentence", "StudyRecords", "answer", "decision_text", "load", "render", "show", "write", "write_decision"]
