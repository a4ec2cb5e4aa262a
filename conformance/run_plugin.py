"""The hooks of a run: choose the checks, gather once, turn each test into a verdict, write the reports."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

import pytest

from conformance.claims import claims_of
from conformance.evidence import Evidence
from conformance.gather import Interrupted, gather, plan
from conformance.har_file import is_har, read_har
from conformance.judge import Bench, evaluate, verdict_without_check
from conformance.offers import as_seen
from conformance.preflight import UnusableTarget, refuse_unusable
from conformance.registry import selected_checks
from conformance.report.model import Report
from conformance.report.write import ReportError, write_html, write_json
from conformance.run_state import RunState
from conformance.selection import SelectionError
from conformance.verdict import Result, Verdict
from conformance.wire.store import EvidenceError, load, save
from spec.catalogue import requirements

_SKIPPED = (Result.NOT_OFFERED, Result.NOT_TESTED, Result.INCONCLUSIVE)


class RunPlugin:
    """One run inside a pytest session."""

    def __init__(self, state: RunState) -> None:
        self.state = state
        try:
            self.wanted = {r.id: r for r in state.settings.selection.of(requirements().values())}
        except SelectionError as error:
            raise pytest.UsageError(str(error)) from None

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Drop the checks that ``--only`` does not select."""
        kept = [i for i in items if _requirement(i) is None or _requirement(i) in self.wanted]
        config.hook.pytest_deselected(items=[i for i in items if i not in kept])
        items[:] = kept

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if session.config.option.collectonly:
            return
        ids = [r for r in map(_requirement, session.items) if r is not None]
        self.state.checks = selected_checks(ids)
        evidence = self._evidence()
        dialect = as_seen(evidence, self.state.settings.dialect)
        self.state.evidence, self.state.bench = evidence, Bench(evidence, dialect)
        for requirement in self.wanted.values():
            if requirement.id not in self.state.checks and requirement.unchecked:
                self.state.verdicts[requirement.id] = verdict_without_check(requirement, dialect)

    def _evidence(self) -> Evidence:
        """Gather, or load; whatever prevents it ends the session with one line."""
        settings = self.state.settings
        try:
            if settings.saved:
                har = is_har(settings.saved)
                return read_har(settings.saved, settings.dialect) if har else load(settings.saved)
            evidence = self._gather()
            if settings.out:
                save(evidence, settings.out / "evidence", ())
        except EvidenceError as error:
            self._stop(str(error), 2)
        except UnusableTarget as error:
            self._stop(str(error), error.exit_code)
        except Interrupted as interrupted:
            self._stop(self._keep(interrupted.evidence), 130)
        return evidence

    def _gather(self) -> Evidence:
        settings = self.state.settings
        if settings.target is None:
            self._stop("nothing to judge: give a target or saved evidence", 2)
        return asyncio.run(
            gather(
                settings.target,
                settings.dialect,
                plan(self.state.checks.values(), settings.dialect, settings.target),
                watch=settings.watch,
                after_baseline=lambda seen: refuse_unusable(seen, settings.dialect),
            )
        )

    def _keep(self, evidence: Evidence) -> str:
        if not self.state.settings.out:
            return "interrupted"
        try:
            save(evidence, self.state.settings.out / "evidence", ())
        except EvidenceError as error:
            return f"interrupted; {error}"
        return f"interrupted; {len(evidence.exchanges)} exchanges are kept in {self.state.settings.out / 'evidence'}"

    def _stop(self, message: str, code: int) -> NoReturn:
        self.state.stopped = (message, code)
        pytest.exit(message, returncode=code)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Call a check through the judge, so that pytest and ``aiconform judge`` give the same verdict."""
        requirement = self.wanted.get(_requirement(pyfuncitem) or "")
        if requirement is None:
            return None
        assert self.state.bench is not None
        check = self.state.checks[requirement.id]
        arguments = {name: pyfuncitem.funcargs[name] for name in check.needs}
        verdict = evaluate(check, requirement, self.state.bench, arguments)
        self.state.verdicts[requirement.id] = verdict
        pyfuncitem.user_properties.append(("aiconform", verdict.as_json()))
        _report_to_pytest(verdict)
        return True

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.state.report = report = self._report()
        if report is None or self.state.settings.out is None:
            return
        try:
            write_json(report, self.state.settings.out / "report.json")
            write_html(report, self.state.settings.out / "report.html")
        except ReportError as error:
            self.state.stopped = (str(error), 2)
            session.exitstatus = 2

    def _report(self) -> Report | None:
        """The report of this run, or None if it ended before anything was judged."""
        if self.state.evidence is None:
            return None
        verdicts = tuple(self.state.verdicts[i] for i in self.wanted if i in self.state.verdicts)
        settings = self.state.settings
        claims = claims_of(self.state.evidence, settings.dialect, verdicts, self.wanted, settings.document)
        return Report(self.state.evidence, settings.dialect, verdicts, self.wanted, claims, settings.policy)


def _requirement(item: pytest.Item) -> str | None:
    found: Any = getattr(getattr(item, "function", None), "requirement", None)
    return found if isinstance(found, str) else None


def _report_to_pytest(verdict: Verdict) -> None:
    if verdict.result is Result.FAIL:
        pytest.fail(f"{verdict.id}: {verdict.detail}", pytrace=False)
    if verdict.result is Result.ERROR:
        pytest.fail(f"{verdict.id}: the suite's own fault: {verdict.detail}", pytrace=False)
    if verdict.result in _SKIPPED:
        pytest.skip(f"{verdict.result}: {verdict.detail}")
