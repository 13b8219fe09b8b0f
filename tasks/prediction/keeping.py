"""Certified samples of a prediction as a dataset of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import TypeAdapter, ValidationError

from ritz.compute.fields.dimensions import NODE
from ritz.compute.problems.external import Along, External, Stored
from ritz.storage.committer import Committer
from ritz.storage.errors import Refused
from ritz.storage.importing.fingerprint import fingerprint
from ritz.storage.names import dataset_key
from ritz.storage.shards import Fork, write_shard
from ritz.tasks.errors import InputError
from ritz.tasks.generation.described import described
from ritz.tasks.generation.rounding import rounding_bound
from ritz.tasks.parsing.identity import document_hash
from ritz.tasks.pipeline import Data, Name, Pipeline, Splits
from ritz.tasks.prediction.certified_by import CertifiedBy

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Problem
    from ritz.storage.ledger import Ledger
    from ritz.storage.store import Store
    from ritz.storage.versions import Version
    from ritz.tasks.documents.card import Card
    from ritz.tasks.prediction.certified import Certified

NONE = "0" * 64
"""Origin of a problem whose samples are not solved yet."""

MOST = 64
"""Samples of a shard at most."""


@dataclass(frozen=True)
class Keeping:
    """A dataset that is to be made of certified samples.

    Attributes
    ----------
    store, name
        Where, and under which name.
    problem
        Whose equations the samples solve.
    spec, card
        The model whose predictions began it.
    source
        File of the inputs.
    """

    store: Store
    name: str
    problem: Problem
    spec: str
    card: Card
    source: Path

    @classmethod
    def planned(cls, store: Store, name: str, problem: Problem, spec: str, card: Card, source: Path) -> Keeping:
        """Look whether the dataset can be made, before anything is solved.

        Raises
        ------
        ritz.tasks.errors.InputError
            If the name is none, or the fields lie on a mesh.
        ritz.storage.errors.Refused
            If there is a dataset of this name.
        ritz.storage.errors.StorageError
            If the store cannot be written.
        """
        try:
            TypeAdapter(Name).validate_python(name)
        except ValidationError:
            raise InputError(
                f"--keep is {name!r}, expected the name of a dataset: letters, digits, '-', '_' and '.', at most 100"
            ) from None
        planned = cls(store, name, problem, spec, card, source)
        planned._refuse_present()
        if NODE in problem.template(1).dims:
            raise InputError(
                f"--keep: the fields of problem {problem.kind!r} lie on the nodes of a mesh, which a dataset of the "
                "problem 'external' does not hold; expected fields on a grid"
            )
        store.check_writable()
        return planned

    def keep(self, inputs: Mapping[str, np.ndarray], certified: Certified) -> Version | None:
        """Write and publish the certified samples, with new ids in the order of the file; None without any.

        Their splits follow from these ids as in any dataset. The ledger has the true residual of each, before it is
        rounded to the dtype of the dataset that the model was trained on.

        Raises
        ------
        ritz.storage.errors.Refused
            If a dataset of this name has come meanwhile.
        """
        dtype = self._dtype
        with np.errstate(over="ignore"):
            outputs = {name: values.astype(dtype) for name, values in certified.fields.items()}
        held = [np.isfinite(values.reshape(len(values), -1)).all(axis=1) for values in outputs.values()]
        rows = np.flatnonzero(np.logical_and.reduce([certified.good, *held]))
        if not len(rows):
            return None
        fields = {
            str(name): {**inputs, **outputs}[str(name)][rows].astype(field.dtype)
            for name, field in self._external(NONE).template(1).data_vars.items()
        }
        ledger = {name: np.array(column)[rows] for name, column in certified.ledger.items()}
        pipeline = self._pipeline(certified, len(rows))
        shard = pipeline.data.shard
        self._refuse_present()
        given = {name: fields[name] for name in inputs}
        bound = rounding_bound(self.problem, given, fields, np.ones(len(rows), dtype=bool))
        dataset = Committer.ensure(self.store, self.name, **described(pipeline, np.arange(len(rows))))
        with dataset.lock():
            fork = dataset.fork()
            written: dict[int, tuple[Fork, Ledger]] = {}
            for index in range(len(rows) // shard):
                part = slice(index * shard, (index + 1) * shard)
                columns = {name: column[part] for name, column in ledger.items()}
                values = {name: one[part] for name, one in fields.items()}
                written[index] = (write_shard(fork, index, values, columns, bound), columns)
            dataset.commit(written)
            return dataset.publish(f"{len(rows)} certified samples by {self.spec}")

    @property
    def _dtype(self) -> str:
        return str(self.card.recipe["data"]["dtype"])

    def _refuse_present(self) -> None:
        if self.store.exists(dataset_key(self.name)):
            raise Refused(
                f"dataset {self.name!r} is in {self.store.url} already, and --keep makes a new one; set another name, "
                f"e.g. --keep {self.name}-2"
            )

    def _pipeline(self, certified: Certified, samples: int) -> Pipeline:
        made = CertifiedBy(
            model=self.spec,
            dataset=self.card.dataset.spec,
            problem=self.problem.model_dump(mode="json"),
            start=certified.summary.start.chosen,
            file=self.source.name,
            digest=fingerprint(self.source),
            given=len(certified.good),
        )
        rtol = float(certified.summary.rtol)
        origin = document_hash({"certified": made.model_dump(mode="json", exclude={"start"}), "rtol": rtol})
        shard = next(one for one in range(min(samples, MOST), 0, -1) if samples % one == 0)
        splits = Splits.model_validate(self.card.recipe["data"]["splits"])
        return Pipeline(
            name=self.name,
            problem=self._external(origin),
            data=Data(samples=samples, shard=shard, rtol=rtol, dtype=self._dtype, splits=splits),
            certified=made,
        )

    def _external(self, origin: str) -> External:
        """Return the problem of the dataset, with the variables and dimensions of the one that was solved."""
        template = self.problem.template(1)
        dims = dict.fromkeys(str(dim) for field in template.data_vars.values() for dim in field.dims[1:])
        along = []
        for dim in dims:
            points = template.coords.get(dim)
            if points is None:
                along.append(Along(name=dim, count=template.sizes[dim]))
                continue
            attrs = points.attrs
            units, long_name = str(attrs.get("units", "1")), str(attrs.get("long_name", ""))
            along.append(Along.at(dim, points.values, attrs.get("axis", ""), units, long_name))
        variables = [
            Stored(
                name=str(name),
                role=field.attrs["role"],
                dims=tuple(str(dim) for dim in field.dims[1:]),
                transform=field.attrs["transform"],
                units=field.attrs["units"],
                long_name=field.attrs["long_name"],
            )
            for name, field in template.data_vars.items()
        ]
        return External.model_validate(
            {
                "origin": origin,
                "along": tuple(along),
                "variables": tuple(variables),
                "symmetries": template.attrs["symmetries"],
                "dtype": self._dtype,
            }
        )
