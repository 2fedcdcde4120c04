"""How long the small answers take beyond `python -c pass`, interleaved; medians of wall seconds.

The help, the bare import, and the refusal of a wrong study file and of a wrong table.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = {
    "python -c pass": "pass",
    "import sharewise": "import sharewise",
    "sharewise --help": "from sharewise.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass",
    "a wrong study file": "from sharewise.cli import answer\nanswer(['run', sys.argv[1]])",
    "a wrong table": "from sharewise.cli import answer\nanswer(['run', sys.argv[2]])",
}


def wrong(folder: Path) -> list[str]:
    """Two study files: one with a misspelt key, one whose table repeats a row id."""
    rows = "\n".join(f"r{min(i, 900)},{i % 7},{i % 2}" for i in range(1000))
    (folder / "t.csv").write_text(f"id,x,y\n{rows}\n")
    for name, text in (
        ("key", "data: t.csv\ntasks: [y]\nepoch: 3\n"),
        ("table", "data: {path: t.csv, id: id}\ntasks: [y]\n"),
    ):
        (folder / f"{name}.yaml").write_text(text)
    return [str(folder / "key.yaml"), str(folder / "table.yaml")]


def seconds(code: str, arguments: list[str]) -> float:
    """Wall seconds of one fresh interpreter."""
    start = time.perf_counter()
    command = [sys.executable, "-c", f"import sys\n{code}", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds; the printout says so")
    rounds = 5 if parser.parse_args().quick else 21
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        arguments = wrong(Path(folder))
        for _ in range(rounds):
            for name, code in COMMANDS.items():
                times[name].append(seconds(code, arguments))
    base = statistics.median(times["python -c pass"])
    for name, values in times.items():
        middle = statistics.median(values)
        print(f"{name}: {middle:.3f} s, {middle - base:+.3f} s beyond python -c pass ({rounds} rounds)")


if __name__ == "__main__":
    main()
