from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Source
from ritz.compute.uncertainty.predicted import About, Arrays, Predicted
from ritz.compute.uncertainty.spread.floor import floored, narrowest
from ritz.compute.uncertainty.spread.spread import FittedSpread, Shape, Spread, Unsuitable

if TYPE_CHECKING:
    from ritz.compute.surrogates.model import Model
    from ritz.compute.surrogates.networks.last_layer import LastLayer
    from ritz.compute.surrogates.surrogate import Surrogate

_BATCH = 32
_ROUNDS = 50


class FittedLaplace(FittedSpread):
    """Standard deviations of the output, where the weights of the last layer are Gaussian.

    Attributes
    ----------
    whitening
        ``(feature, feature)`` V with V Vᵀ the covariance of the weights of a unit of deviation 1: the deviation of the
        output is that of the unit times ‖Vᵀ φ‖ for features φ.
    deviations
        ``(unit,)`` root mean square of what the network leaves of its training samples, in normalised channels.
    floor
        Least width at a point, as a share of the root mean square of the sample's own deviation.
    """

    kind: Literal["laplace"] = "laplace"
    whitening: tuple[tuple[float, ...], ...]
    deviations: tuple[float, ...]
    floor: float

    def shape(self, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray]) -> Shape:
        """Return the deviations of the outputs; the network predicts once more. See `FittedSpread.shape`."""
        return Shape(prediction, floored(self.sizes(inputs, prediction), self.floor))

    def sizes(self, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray]) -> Arrays:
        """Return the deviations in physical units, ``(n, *dims)`` float64 for every output."""
        if self._model is None:
            raise ValueError("bands by the last layer need the network: read them together with their model")
        model, units = self._model, np.array(self.deviations)[:, None]
        whitening = np.array(self.whitening)
        found = []
        for last in _layers(model, inputs):
            features = last.features.numpy().astype(np.float64)
            size = np.linalg.norm(np.einsum("fg,nfp->ngp", whitening, features), axis=1)
            found.append((units * size[:, None]).reshape(len(size), *last.shape))
        fields = model.normalisation.unstack(np.concatenate(found))
        logs = {one.name for one in model.normalisation.outputs if one.transform == "log"}
        # To first order in the deviation.
        return {
            one.name: fields[one.name] * one.scale * (np.abs(prediction[one.name]) if one.name in logs else 1.0)
            for one in model.normalisation.outputs
        }

    def made(self) -> str:
        """Return how the bands were made; see `FittedSpread.made`."""
        return (
            "The width of a band is the standard deviation of the output where the weights of the network's last layer "
            "are Gaussian, as the training samples leave them."
        )


class Laplace(Spread):
    """The last layer of a network as Bayesian linear regression on what the layers before it make of an input.

    With features φ of the training samples and the ridge penalty ρ, the weights of an output unit are Gaussian with the
    covariance σ² (Σ φφᵀ + ρ)⁻¹, in closed form; so the deviation of the output at new features is
    σ √(φᵀ (Σ φφᵀ + ρ)⁻¹ φ). It grows where features are unlike those of the training. σ² is the mean square of what
    the network leaves of the training samples, and ρ maximises the evidence of the trained weights. Points of a field
    are one observation: the sum is over samples, of means over points. What the other layers do not know is not in it.

    It is for networks that end in a linear layer or a convolution over single points.

    Source: MacKay, "A practical Bayesian framework for backpropagation networks", Neural Computation 4 (1992), for the
    last layer alone.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "D. J. C. MacKay",
            "A practical Bayesian framework for backpropagation networks",
            1992,
            "Neural Computation 4",
            "",
        ),
        Source(
            "E. Daxberger, A. Kristiadi, A. Immer, R. Eschenhagen, M. Bauer, P. Hennig",
            "Laplace redux: effortless Bayesian deep learning",
            2021,
            "NeurIPS",
            "the last layer alone is competitive with ensembles at the price of one network",
            "ensembles.txt",
        ),
    )

    kind: Literal["laplace"] = "laplace"
    floor: float | None = Field(default=None, ge=0, le=10)
    """Least width at a point, as a share of the root mean square of the sample's own; None for the share of 1, 10, 30
    and 100 % with which the bands around the validation samples are the narrowest."""

    def unfit(self, surrogate: Surrogate) -> str:
        """Refuse ensembles and what is fitted at once; see `Spread.unfit`."""
        from ritz.compute.surrogates.network import Network

        if isinstance(surrogate, Network):
            return ""
        return (
            f"the surrogate is {surrogate.kind!r}, expected a network by itself, such as 'fno': it has one last layer"
        )

    def fit(self, validate: Predicted, about: About) -> FittedLaplace:
        """Regress on the features of the training samples; see `Spread.fit`."""
        if about.model is None or about.training is None:
            raise Unsuitable("the network and its training samples are not at hand")
        if unfit := self.unfit(about.model.surrogate):
            raise Unsuitable(unfit)
        if len(validate) == 0:
            raise ValueError("there is no validation sample to choose the floor by; give the validate split a share")
        model = about.model
        gram: np.ndarray | float = 0.0
        left: np.ndarray | float = 0.0
        count = 0
        for fields in about.training:
            truth = model.normalisation.encode("output", fields)
            done = 0
            for last in _layers(model, fields):
                features = last.features.numpy().astype(np.float64)
                n, _, places = features.shape
                weights = last.weights.numpy().astype(np.float64)
                wanted = truth[done : done + n].reshape(n, len(weights), places)
                gram = gram + np.einsum("nfp,ngp->fg", features, features) / places
                left = left + np.square(wanted - np.einsum("uf,nfp->nup", weights, features)).mean(axis=2).sum(axis=0)
                done += n
            count += done
        if not isinstance(gram, np.ndarray) or not isinstance(left, np.ndarray):
            raise ValueError("there is no training sample to regress on; expected at least one")
        whitening = _whitening(gram, weights, float(left.mean()) / count)
        fitted = FittedLaplace(
            whitening=tuple(map(tuple, whitening.tolist())),
            deviations=tuple(np.sqrt(left / count).tolist()),
            floor=self.floor or 0.0,
        ).beside(model)
        if self.floor is None:
            sizes = fitted.sizes(validate.inputs, validate.prediction)
            floor = narrowest(sizes, {name: validate.error(name) for name in sizes})
            fitted = fitted.model_copy(update={"floor": floor}).beside(model)
        return fitted


def _whitening(gram: np.ndarray, weights: np.ndarray, variance: float) -> np.ndarray:
    """Return V with V Vᵀ = (gram + ρ)⁻¹, ρ = λ · variance, with the precision λ of the weights that has most evidence.

    The fixed point λ = γ / mean ‖w‖² of MacKay, γ the number of well determined directions.
    """
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, 0.0)
    square = float(np.square(weights).sum(axis=1).mean())
    variance = max(variance, np.finfo(np.float64).tiny)
    precision = len(values) / square
    for _ in range(_ROUNDS):
        precision = float(np.sum(values / (values + precision * variance))) / square
    found: np.ndarray = vectors / np.sqrt(values + precision * variance)
    return found


def _layers(model: Model, inputs: Mapping[str, np.ndarray]) -> Iterator[LastLayer]:
    """Yield the last layer of a network for some samples at a time, on the CPU.

    Raises
    ------
    Unsuitable
        If the network does not end in a linear layer.
    """
    import torch

    from ritz.compute.surrogates.networks.last_layer import LastLayer, last_layer

    for x in model.encoded(inputs, _BATCH):
        try:
            with torch.no_grad():
                last = last_layer(model.module.eval(), x)
        except ValueError as error:
            raise Unsuitable(str(error)) from error
        yield LastLayer(last.features.cpu(), last.weights.cpu(), last.shape)
