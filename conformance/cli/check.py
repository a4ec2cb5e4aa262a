"""``aiconform check URL``: probe a target, judge it, report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from conformance.budget import Budget
from conformance.cli.choose import choose
from conformance.cli.gate_options import (
    Badge,
    BaselineFile,
    Config,
    FailOnWords,
    Har,
    Json,
    Junit,
    Markdown,
    OpenApi,
    Overlays,
    ProfileName,
    ReportFiles,
    Sarif,
    document_of,
    policy_of,
)
from conformance.cli.plan import print_plan
from conformance.cli.progress import live_progress
from conformance.cli.stop import stop
from conformance.cli.suite import run_suite
from conformance.dialects.model import Dialect, DialectError, load_dialect
from conformance.gate.policy import GateError
from conformance.offers import as_declared
from conformance.report.console import print_report
from conformance.report.write import ReportError
from conformance.run_state import Settings
from conformance.selection import Selection, SelectionError
from conformance.target import Limits, Target, TargetError, client_certificate, oauth_client
from conformance.vendor_document import DocumentError
from conformance.wire.http import Wire
from spec.catalogue import requirements

MAX_CALLS = 80
"""What a run may send to a vendor unless the tester says otherwise: calls cost money."""


def command(
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="[TARGET]",
            help="Base URL of the API, for instance http://127.0.0.1:8000/api/v1, or a name in aiconform.toml "
            "(default: its only or default target).",
        ),
    ] = None,
    dialect: Annotated[
        str | None,
        typer.Option(help="Its wire format: a built-in dialect or a YAML file (default: contract)."),
    ] = None,
    config: Config = None,
    replica: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Base URL of a further replica (repeatable): calls go to them in turn, to see whether they share "
            "keys, jobs, sessions and limits.",
        ),
    ] = None,
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
    profile: ProfileName = None,
    fail_on: FailOnWords = None,
    baseline: BaselineFile = None,
    openapi: OpenApi = None,
    overlay: Overlays = None,
    json: Json = None,
    junit: Junit = None,
    sarif: Sarif = None,
    markdown: Markdown = None,
    badge: Badge = None,
    har: Har = None,
    max_calls: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Never send more than N requests (default: 80, unlimited for the contract)."
        ),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Never let models process more than N tokens.")
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(
            metavar="USD", min=0, help="Never spend more than this, by the price of target or dialect."
        ),
    ] = None,
    max_time: Annotated[
        float | None, typer.Option(metavar="S", min=1, help="Send nothing more after S seconds.")
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
    callback_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where the target can reach this machine, for webhooks."),
    ] = None,
    callback_port: Annotated[
        int | None,
        typer.Option(metavar="PORT", min=1, max=65535, help="Port behind --callback-url (default: its own)."),
    ] = None,
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
        chosen = choose(url, config)
        spoken, selection = load_dialect(dialect or chosen.dialect), Selection.parse(only)
        selection.of(requirements().values())
        document = document_of(openapi, overlay)
        declared = Target(chosen.url, spoken.name, declared=chosen.declared).with_document(document).declared
        spoken = as_declared(spoken, declared)
        policy = policy_of(config, chosen.name or None, profile, fail_on, baseline)
        flags = Target.create(
            chosen.url,
            spoken.name,
            key=key,
            other_key=other_key,
            limited_key=limited_key,
            narrow_key=narrow_key,
            certificate=client_certificate(
                str(client_cert) if client_cert else None, str(client_cert_key) if client_cert_key else None
            ),
            oauth=oauth_client(
                oauth_token_url, client_id, client_secret, oauth_redirect_uri, over=chosen.client
            ),
            budget_key=budget_key,
            model=model,
            max_calls=max_calls,
            limits=Limits(headers=min(timeout, Limits.headers), total=timeout),
            concurrency=concurrency,
            verify=not insecure,
            ca_bundle=str(ca_bundle) if ca_bundle else None,
            callback_url=callback_url,
            callback_port=callback_port,
            replicas=replica or (),
        )
        flags = replace(flags, budget=Budget(None, max_tokens, max_cost, max_time))
        if dry_run:
            print_plan(
                console, spoken, selection, _bounded(chosen.described(flags).with_document(document), spoken)
            )
            return
        if ca_bundle and not ca_bundle.is_file():
            raise TargetError(f"--ca-bundle: {ca_bundle} is not a file")
        target = _bounded(chosen.under(flags).with_document(document), spoken)
        Wire(verify=target.ca_bundle or target.verify, proxy=target.proxy)
    except (DialectError, TargetError, GateError, DocumentError, SelectionError, ValueError) as error:
        stop(str(error), 2)
    with live_progress(Console(stderr=True), quiet=quiet) as watch:
        report = run_suite(
            Settings(
                spoken, target, selection=selection, out=out, watch=watch, policy=policy, document=document
            )
        )
    try:
        ReportFiles(json, junit, sarif, markdown, badge, har).write(report)
    except ReportError as error:
        stop(str(error), 2)
    if not quiet:
        print_report(report, console)
        if ended := report.evidence.target.get("budget", {}).get("ended"):
            unfinished = ", ".join(report.evidence.target["budget"]["unfinished"])
            console.print(f"{ended}; left unfinished: {unfinished}", style="yellow", highlight=False)
        console.print(f"report: {out / 'report.html'}", highlight=False)
    raise typer.Exit(report.gate.exit_code)


def _bounded(target: Target, dialect: Dialect) -> Target:
    """The target with the limit of calls that holds unless the tester sets one.

    Raises:
        TargetError: a cost is limited, and nobody knows the price.
    """
    if target.budget.cost is not None and not (target.price or dialect.price):
        raise TargetError(
            "--max-cost needs a price: write price = {input = USD, output = USD} (a million tokens) in aiconform.toml"
        )
    limited = target.max_calls is not None or dialect.name == "contract"
    return target if limited else replace(target, max_calls=MAX_CALLS)
