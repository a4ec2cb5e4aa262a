"""A live line on a terminal while probes run; silence elsewhere."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from conformance.gather import Progress, Watcher


@contextmanager
def live_progress(console: Console, *, quiet: bool) -> Generator[Watcher]:
    """A watcher that shows probes done, calls sent and what is under way."""
    if quiet or not console.is_terminal:
        yield lambda _: None
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("connecting", total=None)

        def watch(progress: Progress) -> None:
            names = ", ".join(progress.running[:3]) + (" …" if len(progress.running) > 3 else "")
            bar.update(
                task,
                total=len(progress.plan.probes),
                completed=progress.done,
                description=f"{progress.calls} calls  {names}",
            )

        yield watch
