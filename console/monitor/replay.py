"""Going through a recording, look by look."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

from console.errors import ActionRefused
from console.monitor.activity import Sample, summary
from console.monitor.recording import Gap, Recording, read_recording
from console.monitor.waits import HISTORY, WaitHistory, look


class Replay:
    """A recording and the look that is in front; moving beyond an end stays there."""

    def __init__(self, name: str, recording: Recording) -> None:
        """Raises ActionRefused for a recording without a look."""
        if not recording.samples:
            raise ActionRefused(f"{name} holds no look at all.")
        self.name = name
        self.recording = recording
        self.position = 0
        self._times = [sample.at for sample in recording.samples]

    @property
    def sample(self) -> Sample:
        return self.recording.samples[self.position]

    @property
    def length(self) -> int:
        return len(self.recording.samples)

    def move(self, looks: int) -> None:
        """Forward, or back where negative."""
        self.position = max(0, min(self.length - 1, self.position + looks))

    def to_worst(self) -> None:
        self.position = self.recording.samples.index(worst(self.recording.samples))

    def gap(self) -> Gap | None:
        """The last moment that could not be looked at between the look before and this one."""
        before = self._times[self.position - 1] if self.position else None
        found = [
            gap
            for gap in self.recording.gaps
            if gap.at <= self.sample.at and (before is None or gap.at > before)
        ]
        return found[-1] if found else None

    def waits(self) -> WaitHistory:
        """What was waited for in the minutes up to the look in front."""
        history = WaitHistory()
        first = bisect_right(self._times, self.sample.at - HISTORY)
        for sample in self.recording.samples[first : self.position + 1]:
            history.add(look(sample.backends, sample.at))
        return history


def open_replay(path: Path) -> Replay:
    """Raises ConsoleError for a file that is no recording, or an empty one."""
    return Replay(path.name, read_recording(path))


def worst(samples: Sequence[Sample]) -> Sample:
    """The look with most sessions waiting for a lock, then with most at work."""

    def trouble(sample: Sample) -> tuple[int, int]:
        found = summary(sample.backends)
        return found.waiting, found.active

    return max(samples, key=trouble)
