from __future__ import annotations

import logging
import time

from ritz.compute.cluster.cluster import Cluster
from ritz.storage import models
from ritz.storage.errors import Refused
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.documents.propagation import PropagationRecord
from ritz.tasks.propagation import kept
from ritz.tasks.propagation.answering import Answers
from ritz.tasks.propagation.question import Question
from ritz.tasks.propagation.record import record
from ritz.tasks.stage import stage

log = logging.getLogger("ritz")


@stage("propagate")
def propagate(store_url: str, cluster: Cluster, question: Question) -> PropagationRecord:
    """Answer a question about a population, and keep the answer in the store.

    Raises
    ------
    ritz.storage.errors.Refused
        If the time is too short, or a sample has no answer.
    """
    store, asked = Store(store_url), question.asked
    if (done := kept.find(store, question)) is not None:
        return done
    found, left_out = question.places(store_url)
    answers = Answers(cluster, found, asked.quantities, question.seed, store, kept.answers(question))
    begun = time.perf_counter()
    try:
        answered = asked.run(answers.ask, list(found), question.seed, question.leading)
    except ValueError as error:
        raise Refused(f"propagate {question.about}: {error}") from error
    wall = time.perf_counter() - begun
    made = record(question, answered, left_out, wall)
    kept.save(store, question, made)
    if question.model:
        _on_card(store, question.model, made)
    answers.forget()
    chosen = ", ".join(made.chosen)
    log.info("propagate: %d samples on %s, %.1f s", answers.samples, chosen, wall)
    return made


def _on_card(store: Store, model: str, made: PropagationRecord) -> None:
    """Add an answer to the card of the model that it was asked with, in the place of one to the same question."""
    others = [
        one
        for one in of_model.card(store, model).population
        if (one.question, one.law, one.seed) != (made.question, made.law, made.seed)
    ]
    models.amend(store, model, {"population": [one.document() for one in (*others, made)]})
