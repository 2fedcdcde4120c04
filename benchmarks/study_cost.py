"""The whole quick study of tox21 against its first arm (each task alone) trained once, in processor seconds.

Reads SHAREWISE_DATA. Both are run by one worker; the study is timed whole, with audit, report and bundle.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from sharewise.records import Phase, Role
from sharewise.study.run import Conductor
from sharewise.study.study import Study
from sharewise.study.workers import Workers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="energy_efficiency instead; the printout says so")
    name = "energy_efficiency" if parser.parse_args().quick else "tox21"
    folder = os.environ.get("SHAREWISE_DATA")
    if not folder:
        sys.exit("SHAREWISE_DATA names no folder with the real tables: nothing was run.")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as out:
        study = Path(out) / "study.yaml"
        code = "from sharewise.cli import main; main()"
        command = [sys.executable, "-c", code, "init", str(Path(folder) / f"{name}.parquet"), "-o", str(study)]
        subprocess.run(command, check=True, capture_output=True)
        made = Study.from_file(study, budget="quick")
        design, prepared, _ = made.session(Path(out) / "arm").design()
        (Path(out) / "arm" / "runs").mkdir(parents=True)
        conductor = Conductor(design, prepared, Path(out) / "arm", lambda text: None)
        alone = next(arm for arm in design.record.arms if arm.role is Role.ALONE)
        runs = [conductor.run(Phase.TUNE, kind, arm, group, 0, 0) for kind, arm, group in conductor.trained(alone)]
        start = time.process_time()
        Workers(prepared, Path(out) / "arm", 1).carry_out(conductor.plan_units(runs), lambda n: None)
        first = time.process_time() - start
        start = time.process_time()
        made.run(Path(out) / "study", workers=1)
        whole = time.process_time() - start
    n = design.record.planned_runs
    print(
        f"{name}: whole quick study ({n} runs planned) {whole:.0f} s, {len(runs)} tasks alone once {first:.0f} s: {whole / first:.1f} times"
    )


if __name__ == "__main__":
    main()
