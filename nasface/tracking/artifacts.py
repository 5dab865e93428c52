"""Files of a run as W&B artifacts, and which stage made and used each: supernet -> search -> architecture -> retraining
-> network.

W&B tells an artifact by its name and its content. A stage that uses a file declares an artifact of the same name and
content, which W&B finds to be the one that was logged before: no identifier goes from one stage to the next, so that
offline files, uploaded later in any order, make the same graph.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nasface.space.record import load_record

if TYPE_CHECKING:
    import wandb

SUPERNET, ARCHITECTURE, NETWORK = "supernet", "architecture", "network"
"""Types of artifacts."""


@dataclass(frozen=True)
class RunFile:
    """A file that a stage makes or uses.

    Attributes:
        path: of the file.
        kind: type of the artifact.
        run: id of the run that made it.
    """

    path: Path
    kind: str
    run: str

    @property
    def name(self) -> str:
        """Of the artifact: the file's and its run's, such as best-20300131-120000-search-multipath."""
        return re.sub(r"[^\w.-]", "-", f"{self.path.stem}-{self.run}")[:128]

    def artifact(self, metadata: Mapping[str, Any]) -> wandb.Artifact:
        import wandb

        artifact = wandb.Artifact(self.name, self.kind, metadata={"run": self.run, **metadata})
        # Weights stay where they are. An architecture is small and its file may be overwritten before it is uploaded.
        policy: Literal["mutable", "immutable"] = "mutable" if self.path.suffix == ".json" else "immutable"
        artifact.add_file(str(self.path.resolve()), name=self.path.name, policy=policy, skip_cache=True)
        return artifact


def parents_of(arch: str, weights: Path | None = None) -> tuple[RunFile, ...]:
    """What a retraining goes back to: the search's architecture, where `--arch` is its file, and the supernet whose
    weights it starts from."""
    parents = []
    if Path(arch).suffix == ".json" and (run := load_record(arch).provenance.get("run")):
        parents.append(RunFile(Path(arch), ARCHITECTURE, Path(str(run)).name))
    if weights is not None:
        folder = weights.resolve().parent
        parents.append(RunFile(weights, SUPERNET, (folder.parent if folder.name == "supernet" else folder).name))
    return tuple(parents)


def declare(file: RunFile, action: Any) -> None:
    """W&B's troubles must not end a training."""
    import wandb

    try:
        action()
    except (wandb.errors.Error, OSError, ValueError, TypeError, AttributeError) as error:
        print(f"W&B did not take {file.name}: {' '.join(str(error).split())[:160]}", file=sys.stderr)
