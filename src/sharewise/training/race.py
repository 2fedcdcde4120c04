"""Cohorts whose members compete while they train: losers leave their stack."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence

from sharewise.training.cohort import Cohort

Place = tuple[int, int]
"""A cohort's number and the number of a member in it."""

Judge = Callable[[int, int, Mapping[int, float]], set[int]]
"""(contest, pause, best relative validation loss so far by position) -> positions in the contest that are dropped."""


class Race:
    """Several cohorts, side by side, whose members are the contestants of some contests.

    `contests[c]` are the places of a contest's members, which must have equally many steps to go; they may be in
    different cohorts. Where all that are left of a contest have come to a pause, or to their end, `judge` says who is
    dropped; until then their cohorts wait. `standings[c][i]` are what contestant i was judged by. The outcome depends
    on nothing but the members.
    """

    def __init__(
        self, cohorts: Sequence[Cohort], contests: Sequence[Sequence[Place]], pauses: Sequence[float], judge: Judge
    ) -> None:
        self.cohorts, self.contests, self.pauses, self.judge = cohorts, contests, pauses, judge
        self.standings: list[list[list[float]]] = [[[] for _ in contest] for contest in contests]
        self._of = {place: (c, i) for c, contest in enumerate(contests) for i, place in enumerate(contest)}
        self._judged = [0] * len(contests)
        self._over: set[int] = set()

    def run(self, progress: Callable[[int], None] | None = None) -> None:
        """Train all cohorts to their end; raises ValueError where contestants of one contest have different steps."""
        going = {n: cohort.training(progress, self.pauses) for n, cohort in enumerate(self.cohorts)}
        waiting: dict[int, list[int]] = {}
        for n in list(going):
            self._go_on(going, waiting, n, None)
        while going:
            for c in range(len(self.contests)):
                while self._decide(c):
                    pass
            ready = [n for n, members in waiting.items() if all(self._settled(n, m) for m in members)]
            if not ready:
                raise ValueError("Contestants must have equally many steps; however, some wait for others for ever.")
            for n in ready:
                self._go_on(going, waiting, n, [m for m in waiting.pop(n) if m in self.cohorts[n].dropped])

    def _go_on(
        self,
        going: dict[int, Generator[list[int], Collection[int], None]],
        waiting: dict[int, list[int]],
        n: int,
        dropped: list[int] | None,
    ) -> None:
        try:
            waiting[n] = next(going[n]) if dropped is None else going[n].send(dropped)
        except StopIteration:
            del going[n]
            self._over.add(n)

    def _settled(self, n: int, member: int) -> bool:
        contest, _ = self._of[n, member]
        return self._judged[contest] >= int(self.cohorts[n].passed[member])

    def _decide(self, c: int) -> bool:
        """Judge contest c at its next pause, if everyone who is still running has come to it; whether it was."""
        places, pause = self.contests[c], self._judged[c]
        running = [(n, m) for n, m in places if n not in self._over and not self._out(n, m)]
        if not running or any(self.cohorts[n].passed[m] <= pause for n, m in running):
            return False
        left = [i for i, (n, m) in enumerate(places) if m not in self.cohorts[n].dropped]
        found = {i: self.cohorts[places[i][0]].standing(places[i][1]) for i in left}
        for n, m in running:
            _, i = self._of[n, m]
            self.standings[c][i].append(found[i])
        for i in self.judge(c, pause, found):
            n, m = places[i]
            if (n, m) in running:
                self.cohorts[n].dropped.add(m)
                self.cohorts[n].over.add(m)
        self._judged[c] = pause + 1
        return True

    def _out(self, n: int, member: int) -> bool:
        return member in self.cohorts[n].over


def halved(n: int, pause: int) -> int:
    """How many of n contestants stay after a pause, counted from 0: a half, a quarter ..., rounded up."""
    share: int = 2 ** (pause + 1)
    return -(-n // share)
