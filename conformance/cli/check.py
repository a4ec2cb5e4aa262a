"""``aiconform check URL``: probe a target, judge it, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from conformance.cli.progress import live_progress
from conformance.cli.stop import stop
from conformance.cli.suite import run_suite
from conformance.dialects.model import Dialect, DialectError, load_dialect
from conformance.gather import plan
from conformance.registry import load_all, selected_checks
from conformance.report.console import print_report
from conformance.report.write import ReportError, write_json, write_junit
from conformance.run_state import Settings
from conformance.selection import Selection, SelectionError
from conformance.target import Limits, Target, TargetError, client_certificate, oauth_client
from spec.catalogue import requirements

MAX_CALLS = 80
"""What a run may send to a vendor unless the tester says otherwise: calls cost money."""


def command(
    url: Annotated[
        str,
        typer.Argument(metavar="URL", help="Base URL of the API, for instance http://127.0.0.1:8000/api/v1."),
    ],
    dialect: Annotated[
        str, typer.Option(help="Its wire format: a built-in dialect or a YAML file.")
    ] = "contract",
    key: Annotated[
        str | None, typer.Option(envvar="AICONFORM_KEY", show_envvar=True, help="Credential.")
    ] = None,
    other_key: Annotated[
        str | None, typer.Option(envvar="AICONFORM_OTHER_KEY", help="Credential of a second principal.")
    ] = None,
    limited_key: Annotated[
        str | None,
        typer.Option(envvar="AICONFORM_LIMITED_KEY", help="Credential whose limits may be exhausted."),
    ] = None,
    narrow_key: Annotated[
        str | None, typer.Option(envvar="AICONFORM_NARROW_KEY", help="Credential with few rights.")
    ] = None,
    oauth_token_url: Annotated[
        str | None,
        typer.Option(
            envvar="AICONFORM_OAUTH_TOKEN_URL", metavar="URL", help="Token endpoint, to judge access tokens."
        ),
    ] = None,
    client_id: Annotated[
        str | None, typer.Option(envvar="AICONFORM_CLIENT_ID", help="OAuth client (client credentials).")
    ] = None,
    client_secret: Annotated[
        str | None, typer.Option(envvar="AICONFORM_CLIENT_SECRET", help="Its secret.")
    ] = None,
    oauth_redirect_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="A redirect URI of the client; nothing is sent there.")
    ] = None,
    client_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificate (PEM) for mutual TLS.")
    ] = None,
    client_cert_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its private key (PEM).")
    ] = None,
    budget_key: Annotated[
        str | None,
        typer.Option(
            envvar="AICONFORM_BUDGET_KEY", help="Credential with a small budget and few concurrent slots."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Model to call (default: the first the target lists).")
    ] = None,
    only: Annotated[str | None, typer.Option(metavar="IDS", help="Judge only these: SSE-04,ERR-*.")] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Evidence and report.html go here.")] = Path(
        "aiconform-report"
    ),
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as JSON.")] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as JUnit XML.")] = None,
    max_calls: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Never send more than N requests (default: 80, unlimited for the contract)."
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="S", min=1, help="Longest a single call may take, body included.")
    ] = 30.0,
    concurrency: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=32, help="Calls at a time; 2 for a server that queues them."),
    ] = Target.concurrency,
    ca_bundle: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CA certificates (PEM) to trust.")
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not verify the certificate.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and its cost; send nothing.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")] = False,
) -> None:
    """Judge an AI API: a verdict per requirement, with the evidence behind it.

    Example: aiconform check http://127.0.0.1:8000/api/v1 --key sk-demo
    """
    console = Console()
    try:
        spoken, selection = load_dialect(dialect), Selection.parse(only)
        selection.of(requirements().values())
        target = Target.create(
            url,
            spoken.name,
            key=key,
            other_key=other_key,
            limited_key=limited_key,
            narrow_key=narrow_key,
            certificate=client_certificate(
                str(client_cert) if client_cert else None, str(client_cert_key) if client_cert_key else None
            ),
            oauth=oauth_client(oauth_token_url, client_id, client_secret, oauth_redirect_uri),
            budget_key=budget_key,
            model=model,
            max_calls=_budget(max_calls, spoken),
            limits=Limits(headers=min(timeout, Limits.headers), total=timeout),
            concurrency=concurrency,
            verify=not insecure,
            ca_bundle=str(ca_bundle) if ca_bundle else None,
        )
    except (DialectError, TargetError, SelectionError) as error:
        stop(str(error), 2)
    if ca_bundle and not ca_bundle.is_file():
        stop(f"--ca-bundle: {ca_bundle} is not a file", 2)
    if dry_run:
        _print_plan(console, spoken, selection)
        return
    with live_progress(Console(stderr=True), quiet=quiet) as watch:
        report = run_suite(Settings(spoken, target, selection=selection, out=out, watch=watch))
    try:
        if json:
            write_json(report, json)
        if junit:
            write_junit(report, junit)
    except ReportError as error:
        stop(str(error), 2)
    if not quiet:
        print_report(report, console)
        console.print(f"report: {out / 'report.html'}", highlight=False)
    raise typer.Exit(report.exit_code)


def _budget(asked: int | None, dialect: Dialect) -> int | None:
    return MAX_CALLS if asked is None and dialect.name != "contract" else asked


def _print_plan(console: Console, dialect: Dialect, selection: Selection) -> None:
    load_all()
    wanted = selection.of(requirements().values())
    planned = plan(selected_checks(r.id for r in wanted).values(), dialect)
    for probe in planned.probes:
        console.print(
            f"{probe.name:24} at most {probe.calls:3} calls {probe.tokens:6} tokens", highlight=False
        )
    for record in planned.skipped:
        console.print(f"{record.name:24} left out: {record.reason}", highlight=False, style="dim")
    console.print(f"{'in all':24} at most {planned.calls:3} calls {planned.tokens:6} tokens", style="bold")
