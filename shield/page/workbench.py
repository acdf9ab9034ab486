"""The part that the tabs share: a button that runs a job, one that cancels it, how far it is, and the result."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
from gradio.components import Component

from shield.page.complaint import as_toast
from shield.page.job import Job, StoppedError
from shield.page.options import Options
from shield.page.result import QUIETLY, Shown, Updates, View, forget_all
from shield.page.status import CANCELLED, IDLE, progress_bar, waiting

OURS = "shield itself failed here. Try once more, or another photo; the log says what happened."
NEAREST = "{behavior: 'smooth', block: 'nearest'}"
QUEUE = "shield"  # whatever searches or verifies waits in this one queue

Values = dict[Component, Any]


@dataclass
class Task:
    """What a click asks for: work on so many photos. ``complaints`` of photos left out are collected on the way."""

    work: Callable[[Job[list[Shown]]], list[Shown]]
    photos: int = 1
    complaints: list[str] = field(default_factory=list)


class Workbench:
    """``buttons`` and ``outcome`` lay the widgets out; ``wire`` says what a click does."""

    def __init__(self, name: str, label: str, options: Options) -> None:
        self.name, self.label, self.options = name, label, options
        self.jobs: dict[str, Job[list[Shown]]] = {}  # by visitor

    def buttons(self) -> None:
        """Lay out the button that runs and, in the same place, the one that cancels."""
        with gr.Row(elem_classes="actions"):
            self.go = gr.Button(self.label, variant="primary", size="lg", elem_id=f"{self.name}-go", interactive=False)
            self.stop = gr.Button("Cancel", variant="stop", size="lg", elem_id=f"{self.name}-stop", visible=False)

    def outcome(self) -> None:
        """Lay out the place of progress and result."""
        self.view = View(self.name)

    def wire(self, task: Callable[[Values], Task], inputs: set[Component]) -> None:
        """A click runs ``task`` on the values of ``inputs``. What cannot be used raises a ShieldError in there."""
        self.go.click(None, js=f"() => document.querySelector('#{self.name}-status').scrollIntoView({NEAREST})")
        outputs = [*self.view.components, self.go, self.stop]
        run = self.go.click(self._start, self.view.state, outputs, **QUIETLY).then(
            self._runner(task),
            inputs,
            outputs,
            show_progress="hidden",
            api_visibility="private",
            concurrency_limit=self.options.together,
            concurrency_id=QUEUE,
        )
        self.stop.click(self._cancel, None, [self.view.status, self.go, self.stop], cancels=[run], **QUIETLY)

    def _start(self, old: Sequence[Shown]) -> Updates:
        """Right after the click: it was heard, and it can be taken back."""
        forget_all(old)
        return self._busy(waiting()) | self.view.hide()

    def _runner(self, task: Callable[[Values], Task]) -> Callable[[Values, gr.Request], Iterator[Updates]]:
        def run(values: Values, request: gr.Request) -> Iterator[Updates]:
            visitor = request.session_hash or ""
            try:
                with as_toast():
                    asked = task(values)
                    job = self.jobs[visitor] = Job(asked.work, asked.photos, self.options.seconds)
                    for moment in job.watch():
                        yield self._busy(progress_bar(moment))
                    results = job.result()
                for complaint in asked.complaints:
                    gr.Warning(complaint, title="One photo was left out")
                yield self._ready() | self.view.show(results)
            except StoppedError:
                yield self._ready() | {self.view.status: CANCELLED}
            except Exception as error:
                yield self._ready() | {self.view.status: IDLE}
                raise error if isinstance(error, gr.Error) else gr.Error(OURS) from error
            finally:
                self.jobs.pop(visitor, None)

        return run

    def _cancel(self, request: gr.Request) -> Updates:
        """Stop at once, and leave nothing."""
        if job := self.jobs.get(request.session_hash or ""):
            job.cancel()
        return self._ready() | {self.view.status: CANCELLED}

    def _busy(self, status: str) -> Updates:
        return {self.go: gr.Button(visible=False), self.stop: gr.Button(visible=True), self.view.status: status}

    def _ready(self) -> Updates:
        return {self.go: gr.Button(visible=True), self.stop: gr.Button(visible=False)}
