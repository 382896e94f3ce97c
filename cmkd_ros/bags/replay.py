# SPDX-License-Identifier: Apache-2.0
"""The decisions of a bag, taken again without DDS and compared with the recorded ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

from cmkd_ros.bags.comparison import Comparison, of_decided, of_decision, of_insight
from cmkd_ros.bags.reader import BagReader
from cmkd_ros.bags.script import Origin, Sample, Script, Skipped, Snapshot, Turn
from cmkd_ros.contract.errors import BagError
from cmkd_ros.contract.samples import Frame
from cmkd_ros.fusion.windower import Windower


class Mind(Protocol):
    """`policy.mind.Mind`, which this room may not import."""

    windower: Windower
    model_sha256: str

    def recall(self, time_ns: int, arrays: Mapping[str, NDArray[Any]], frames: tuple[Frame, ...], mode: str) -> None:
        """Go on from a snapshot."""

    def decide(self, time_ns: int, safe_only: str = "", only: Any = None) -> Any:
        """Decide at an instant, from the samples named in `only`."""


@dataclass
class Report:
    """What a replay found. `skipped` says by reason how many decisions could not be given again."""

    comparison: Comparison = field(default_factory=Comparison)
    windows: int = 0
    first_ns: int = 0
    last_ns: int = 0
    skipped: dict[str, int] = field(default_factory=dict)

    def skip(self, why: str) -> None:
        """One decision could not be given again."""
        self.skipped[why] = self.skipped.get(why, 0) + 1

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        compared = self.comparison
        return {
            "decisions": compared.decisions,
            "max_difference": compared.max_difference,
            "different": compared.different,
            "floats": compared.floats,
            "first_difference": compared.first,
            "skipped": sum(self.skipped.values()),
            "why_skipped": self.skipped,
            "windows": self.windows,
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
        }


def check_model(found: Origin, model_sha256: str) -> None:
    """Raises `BagError` when the bag's student is another one than this."""
    if found.model_sha256 and found.model_sha256 != model_sha256:
        raise BagError(
            f"the bag's student is {found.model_sha256[:12]}, this one is {model_sha256[:12] or 'none'}: "
            "name the manifest of the bag's student with --model"
        )


def push(windower: Windower, sample: Sample) -> bool:
    """A sample into a windower; False when it is refused."""
    take: dict[str, Callable[[Any], bool]] = {
        "sky": windower.push_frame,
        "audio": windower.push_audio,
        "telemetry": windower.push_telemetry,
    }
    return take[sample.modality](sample.value)


def replay(
    reader: BagReader, mind: Mind, found: Origin, each: Callable[[Turn, Any], None] = lambda turn, decided: None
) -> Report:
    """Decide everything again, from the first fusion/window on. `each` sees every turn and what came of it now.

    Raises `BagError` when the bag was decided by another model, or a file of it is damaged; `SampleError` or
    `PolicyError` when another version wrote its state.
    """
    check_model(found, mind.model_sha256)
    report = Report()
    for act in Script(reader, found.namespace, found.options.telemetry_span_s * found.options.age_scale).acts():
        if isinstance(act, Snapshot):
            mind.recall(act.time_ns, act.arrays, act.frames, act.mode)
            report.windows += 1
        elif isinstance(act, Skipped):
            report.skip(act.why)
        else:
            for sample in act.samples:
                push(mind.windower, sample)
            decided = mind.decide(act.time_ns, act.safe_only, act.only)
            insight, decision = of_decided(decided.outcome, decided.window)
            recorded = of_insight(act.insight)
            if act.decision is None:
                decision = {}
            else:
                recorded |= of_decision(act.decision)
            report.comparison.add(act.time_ns, recorded, insight | decision)
            report.first_ns, report.last_ns = report.first_ns or act.time_ns, act.time_ns
            each(act, decided)
    return report
