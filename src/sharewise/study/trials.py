"""Tuning trials in an Optuna storage, so that `optuna.load_study` and Optuna's dashboard read them.

The runs on disk are the truth; the storage is a copy, written anew whenever a study's tuning is through.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sharewise.errors import ConfigError, Problem
from sharewise.models.space import OneOf, Range
from sharewise.records import RunRecord, Status
from sharewise.study import choose

if TYPE_CHECKING:
    from sharewise.study.run import Conductor


def opened(said: str, directory: Path) -> Any:
    """The Optuna storage that a study file names: a URL as Optuna takes it, else a file in the run directory, SQLite
    or, where it ends in .log, Optuna's journal. Raises ConfigError where it cannot be opened."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        if "://" not in said and said.endswith(".log"):
            backend = optuna.storages.journal.JournalFileBackend(str(directory / said))
            return optuna.storages.JournalStorage(backend)
        return optuna.storages.RDBStorage(said if "://" in said else f"sqlite:///{(directory / said).resolve()}")
    except ImportError as error:
        raise _refused(said, f"needs the Python package {error.name or 'of its database'}", "install it, or ") from None
    except Exception as error:  # Optuna and SQLAlchemy raise their own, and those of any database's driver.
        raise _refused(said, f"cannot be opened ({type(error).__name__})") from None


def check(said: str, directory: Path) -> None:
    """Raise ConfigError where a storage cannot be opened, and leave nothing in the run directory."""
    if "://" in said:
        opened(said, directory)
    elif not (directory / said).absolute().parent.is_dir():
        raise _refused(said, "is in a folder that does not exist")


def _refused(said: str, fact: str, first: str = "") -> ConfigError:
    """What is said of a storage; whatever stands before the @ of a URL, a password say, is left out."""
    return ConfigError(
        Problem(
            "'storage' of tuning is an Optuna storage: a URL, or the name of a file in the run directory",
            f"'{said.partition('@')[2] or said}' {fact}",
            f"{first}write storage: trials.db, or sqlite:////path/to/trials.db",
        )
    )


def export(conductor: Conductor, storage: Any) -> tuple[str, ...]:
    """Write every tuned group as a study of its own and return their names, `STUDY/DIGEST/ARM/GROUP`.

    A trial's value is its worth by the study's objective, more is better; its intermediate values are the negative
    losses at the pauses where it was compared. Trials that were dropped are pruned, failed ones have failed. A study of
    the same name is replaced. Cost: a few milliseconds a trial.
    """
    import optuna

    record = conductor.design.record
    made = []
    for arm in record.arms:
        for kind, name, group in conductor.trained(arm):
            title = f"{record.name}/{conductor.design.digest[:8]}/{name}/{group.name}"
            if title in optuna.get_all_study_names(storage):
                optuna.delete_study(study_name=title, storage=storage)
            study = optuna.create_study(study_name=title, direction="maximize", storage=storage)
            study.set_user_attr("tasks", list(group.tasks))
            space = {n: _distribution(what) for n, what in conductor.space(kind, name, group).items()}
            records = conductor.trials(kind, name, group)
            values = choose.trial_values(records, conductor.tasks, conductor.design.tuning["objective"])
            study.add_trials([_trial(r, values.get(r.trial), space) for r in records])
            made.append(title)
    return tuple(made)


def _trial(record: RunRecord, value: float | None, space: dict[str, Any]) -> Any:
    import optuna

    states = optuna.trial.TrialState
    ended = {Status.DROPPED: states.PRUNED, Status.DONE: states.COMPLETE}.get(record.status, states.FAIL)
    seen = {pause: -loss for pause, loss in enumerate(record.standings, 1) if loss is not None}
    return optuna.trial.create_trial(
        state=states.FAIL if ended is states.COMPLETE and value is None else ended,
        value=value,
        params={name: record.params[name] for name in space},
        distributions=space,
        intermediate_values=seen,
        user_attrs={"run": record.run_id, "validation": record.validation},
    )


def _distribution(what: Range | OneOf) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(what, OneOf):
        return CategoricalDistribution(list(what.values))
    if what.law == "whole":
        return IntDistribution(int(what.low), int(what.high), log=True)
    return FloatDistribution(what.low, what.high, log=what.law == "log")
