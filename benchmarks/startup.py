"""How long `sharewise --help` and `import sharewise` take beyond `python -c pass`, interleaved; medians of wall seconds."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": "pass",
    "import sharewise": "import sharewise",
    "sharewise --help": "from sharewise.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass",
}


def seconds(code: str) -> float:
    """Wall seconds of one fresh interpreter."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds; the printout says so")
    rounds = 5 if parser.parse_args().quick else 21
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, code in COMMANDS.items():
            times[name].append(seconds(code))
    base = statistics.median(times["python -c pass"])
    for name, values in times.items():
        middle = statistics.median(values)
        print(f"{name}: {middle:.3f} s, {middle - base:+.3f} s beyond python -c pass ({rounds} rounds)")


if __name__ == "__main__":
    main()
