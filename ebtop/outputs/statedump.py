# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the dump on SIGUSR1: the state of this ebtop as one JSON object, for debugging.

It goes to the log if there is one, else to standard error; a dashboard without a log only shows a
message. It uses the last snapshot, so it costs nothing until requested.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Optional

from ebtop import __version__
from ebtop.model.snapshot import Snapshot
from ebtop.options.options import Options
from ebtop.outputs.sample_json import probes, self_cost
from ebtop.runtime import log, stdio

NO_PLACE = "SIGUSR1 asks for the state; start with --log FILE to have it written there"


class StateDump:
    """Keeps the parts of the last snapshot that make up the state, and writes them on request."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._seen: dict[str, Any] = dict.fromkeys(_SEEN)
        self._weighed: Optional[tuple[Any, ...]] = None

    def remember(self, snapshot: Snapshot) -> None:
        """Without its rows, which are megabytes where there are many processes."""
        self._seen = {
            "source": snapshot.source, "interval_s": snapshot.interval_s,
            "filter": dataclasses.asdict(snapshot.filter), "self": self_cost(snapshot),
            "probes": probes(snapshot), "system": dataclasses.asdict(snapshot.system),
        }  # fmt: skip
        self._note_changes(snapshot)

    def _note_changes(self, snapshot: Snapshot) -> None:
        """To the log: which probes run now, what is filtered, and what was lost."""
        states = tuple((probe.name, probe.state, probe.reason) for probe in snapshot.probes)
        if (states, snapshot.filter) != self._weighed:
            self._weighed = (states, snapshot.filter)
            running = [name for name, state, _ in states if state == "on"]
            log.note("info", "probes", on=running, filter=self._seen["filter"])
        lost = {cause: count for cause, count in snapshot.self_cost.lost.items() if count}
        if lost:
            log.note("warning", "lost", lost=lost)
        log.note("debug", "refresh", interval_s=snapshot.interval_s, cost=self._seen["self"])

    def state(self) -> dict[str, Any]:
        """All of it; what comes from a snapshot is None before the first."""
        options = self._options
        return {"type": "state", "version": __version__, "command": options.command,
                "options": _given(options), **self._seen}  # fmt: skip

    def write(self) -> bool:
        """Whether it had a place to go to."""
        if log.is_open():
            log.note("error", "state", state=self.state())  # asked for: whatever the level
            return True
        if self._options.command == "dashboard":
            return False
        text = json.dumps(self.state(), ensure_ascii=True, default=str)
        stdio.write_error((text + "\n").encode("ascii"))
        return True


_SEEN = ("source", "interval_s", "filter", "self", "probes", "system")


def _given(options: Options) -> dict[str, Any]:
    """The options that differ from their defaults; a command's words may be private, and are left
    out."""
    plain = Options()
    return {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(options)
        if field.name != "words" and getattr(options, field.name) != getattr(plain, field.name)
    }
