from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ritz.flows.commands.options import Json, ProfileName, StoreUrl
from ritz.flows.server.access import embedded
from ritz.flows.settings import DEFAULT_STORE

if TYPE_CHECKING:
    from ritz.flows.terminal import Row
    from ritz.tasks.auditing.audit_record import AuditRecord, Check, ModelAudit

Dataset = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="A published dataset.")]


def audit(
    name: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="A published dataset, a model, or both.")],
    problem: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="PROBLEM",
            help="Measure instead whether the samples solve a problem: its kind, its fields as YAML, e.g. "
            "'{kind: darcy}', or a YAML file; shape and points are those of the dataset unless they are given.",
        ),
    ] = None,
    samples: Annotated[
        int | None, typer.Option("--samples", min=8, help="With --as: samples that are looked at, 256 by default.")
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
    profile: ProfileName = "local",
    as_json: Json = False,
) -> None:
    """Read every byte of a dataset and a model, recompute residuals and samples, and name all damage.

    If a dataset and a model have this name and version, as after a run, the audit covers both. Ends with code 1 if it
    finds damage. Example: ritz audit darcy@v1

    With --as it prints residuals and estimated errors by the equations of a problem, tells another discretisation from
    other equations, and names the samples that stand out; ends with code 1 if there are any, or the equations are
    others. Example: ritz audit pdebench@v1 --as darcy
    """
    if problem is not None or samples is not None:
        _by_equations(name, problem, samples, store, profile, as_json)
        return
    from ritz.flows.terminal import noting, print_json
    from ritz.tasks.auditing.audit_record import BothAudits
    from ritz.tasks.checks import audited

    what = audited(store, name)
    record = _dataset(name, store, profile) if "dataset" in what else None
    model = None
    if "model" in what:
        from ritz.tasks.auditing.model_files import audit as look

        with noting():
            model = look(store, name)
    parts = [part for part in (model, record) if part is not None]
    if as_json:
        both = BothAudits(**record.entries(), model=model) if record and model else record or model
        print_json(both and both.document())
    else:
        for part in parts:
            _print(part)
    if not all(part.clean for part in parts):
        raise typer.Exit(1)


def _dataset(name: str, store: str, profile: str) -> AuditRecord:
    from ritz.flows.terminal import STARTING, watching
    from ritz.tasks.preparing import prepare
    from ritz.tasks.requests.looking import Audit

    prepared = prepare(Audit(name), store, profile)
    with watching(STARTING), embedded():
        from ritz.flows.audit import audit as flow
        from ritz.flows.launch import launch

        record: AuditRecord = launch(flow, name, prepared.store, profile)
    return record


def _by_equations(name: str, problem: str | None, samples: int | None, store: str, profile: str, as_json: bool) -> None:
    from ritz.flows.terminal import STARTING, print_json, print_table, watching
    from ritz.tasks.errors import RecipeError
    from ritz.tasks.preparing import prepare
    from ritz.tasks.requests.looking import SAMPLES, AuditAs

    if problem is None:
        raise RecipeError(f"--samples is {samples} without --as, expected both: an audit reads all samples")
    count = SAMPLES if samples is None else samples
    prepared = prepare(AuditAs.read(name, problem, count), store, profile)
    with watching(STARTING), embedded():
        from ritz.flows.audit_as import audit_as as flow
        from ritz.flows.launch import launch

        record = launch(flow, name, problem, prepared.store, profile, count)
    if as_json:
        print_json(record.document())
    else:
        from ritz.tasks.views.by_equations import lines, outliers, rows

        print_table(rows(record))
        print_table(outliers(record))
        for line in lines(record):
            typer.echo(line)
    if not record.good:
        raise typer.Exit(1)


def _print(record: AuditRecord | ModelAudit) -> None:
    from ritz.flows.terminal import print_table

    print_table([_row(name, check) for name, check in record.checks.items()])
    for finding in record.findings:
        typer.echo(finding.text)
    if record.not_done:
        typer.echo(f"not done, because of the damage: {', '.join(record.not_done)}")
    typer.echo(f"{record.title} is {'clean' if record.clean else 'NOT clean'}")


def regenerate(
    dataset: Dataset,
    sample: Annotated[int, typer.Option("--sample", metavar="ID", help="Number of the sample (its sample_id).")],
    store: StoreUrl = DEFAULT_STORE,
    profile: ProfileName = "local",
    as_json: Json = False,
) -> None:
    """Draw and solve one sample again, and compare it with the stored one.

    Ends with code 1 if they differ. Example: ritz regenerate darcy@v1 --sample 7
    """
    import yaml

    from ritz.flows.terminal import STARTING, print_json, watching
    from ritz.tasks.preparing import prepare
    from ritz.tasks.requests.looking import Regenerate

    prepared = prepare(Regenerate(dataset, sample), store, profile)
    with watching(STARTING), embedded():
        from ritz.flows.launch import launch
        from ritz.flows.regenerate import regenerate as flow

        found = launch(flow, dataset, sample, prepared.store, profile)
    if as_json:
        print_json(found.document())
    else:
        typer.echo(yaml.safe_dump(found.document(), sort_keys=False).rstrip())
    if not found.agrees:
        raise typer.Exit(1)


def _row(name: str, check: Check) -> Row:
    worst = check.worst
    return {
        "check": name,
        "checked": check.checked,
        "bad": check.bad,
        "worst": worst and f"{worst.value} (sample {worst.sample})",
        "bound": worst and worst.bound,
    }
