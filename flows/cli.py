from __future__ import annotations

import atexit
import os
import signal
import sys
from importlib.metadata import version as package_version
from typing import Annotated, NoReturn

import typer

from ritz.compute.cluster.errors import ClusterError
from ritz.flows.commands import (
    audit,
    bridge,
    catalogue,
    compare,
    doctor,
    exports,
    importing,
    keeping,
    listing,
    propagate,
    replay,
    service,
    stages,
)
from ritz.flows.server.api import ServerError
from ritz.flows.settings import prepare_prefect
from ritz.storage.errors import StorageError
from ritz.tasks.driver.limit import expired
from ritz.tasks.driver.signals import RESUBMIT, SENTENCE, in_job, listen
from ritz.tasks.errors import InputError, RecipeError

INTERRUPTED = 130
"""Exit code after Ctrl-C."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From a parametric PDE to a versioned dataset and a surrogate whose error bars are measured.\n\n"
    "Example: ritz run darcy --set problem.shape=[32,32] --store /data/ritz",
)

for command in (
    *(stages.run, stages.generate, stages.train, stages.evaluate, stages.quantify, stages.predict),
    *(propagate.propagate, audit.audit, audit.regenerate, replay.replay),
    *(service.serve, service.trigger),
    *(listing.recipes, listing.methods, listing.layout, listing.datasets, listing.models, listing.runs, listing.show),
    *(listing.diff, listing.lineage, keeping.gc),
    exports.export,
    bridge.bridge,
    catalogue.catalogue,
    doctor.doctor,
):
    app.command()(command)
app.command("import")(importing.import_files)
app.add_typer(compare.app, name="compare")


def start() -> NoReturn:
    """Run the command line and end the process: what ``ritz`` starts.

    Stopped by a signal it says so in one sentence; after Ctrl-C the code is 130, by SIGTERM and SIGHUP the process
    ends as one that does not handle them, which a shell shows as 143 and 129. By SIGTERM in a job of a batch system,
    whose walltime ends, the code is 75: submit the job again; not where a time limit of the run itself is over.
    """
    stop = listen()
    try:
        code = main()
    except BaseException:
        # What went wrong because of the signal is of no interest.
        if stop.received is None:
            raise
        code = INTERRUPTED
    if stop.received is not None and code != 0:
        sys.stderr.write(f"{reason}; {SENTENCE}\n" if (reason := expired()) else f"{SENTENCE}\n")
    # From here on everything is done.
    stop.ignore()
    # Threads of the store's engine may ask for the interpreter while it is being taken down, and before Python 3.14
    # that aborts the process after all is done (https://github.com/python/cpython/issues/87135). So it is not.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    if stop.received == signal.SIGTERM and code != 0 and in_job() and not expired():
        os._exit(RESUBMIT)
    if stop.received not in (None, signal.SIGINT) and code != 0:
        signal.signal(stop.received, signal.SIG_DFL)
        os.kill(os.getpid(), stop.received)
    os._exit(code)


def main() -> int:
    """Run the command line and return its exit code; bad input is one message on stderr and code 2."""
    prepare_prefect()
    try:
        app()
    except (RecipeError, StorageError, ClusterError, InputError, ServerError) as error:
        sys.stderr.write(f"ritz: {error}\n")
        return 2
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ritz {package_version('ritz')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass
