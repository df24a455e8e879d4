"""A network with its loss: what one step lowers, and how good it is on faces that it does not learn from."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from inference.core.bundle import EMBEDDING, cold_start, load
from inference.core.dlib_resnet import read as read_dlib
from inference.core.networks import TaskNetwork, Trunk, build
from inference.core.torch_models import read_weights
from training.core import losses
from training.core.config import COLD, SCRATCH, BadConfig, TrainConfig
from training.core.data import Examples, group_of, targets, years_of
from training.core.metrics import epsilon
from training.core.verification import true_accepts

EVALUATED = 128  # faces at a time
FALSE_ACCEPTS = 1e-3  # at which a backbone's true accepts are counted
FITTED = 20_000  # faces that a head is fitted to at most: it has a few thousand numbers
RIDGE = 1e-2  # on the head's weights for features of deviation one


class Learner(nn.Module):
    """Called with pixels and rows of the examples, it gives the mean loss of the batch."""

    config: TrainConfig
    trunk: Trunk

    def served(self) -> nn.Module:
        """What goes into the bundle."""
        raise NotImplementedError

    def heads(self) -> nn.Module:
        """What learns at the full rate."""
        raise NotImplementedError

    def validate(self, examples: Examples) -> tuple[dict[str, float], float]:
        """Figures, and the one that decides: the higher, the better."""
        raise NotImplementedError

    def normalise(self, pixels: Tensor) -> Tensor:
        """From 0–255 to what the network takes."""
        mean, deviation = (
            pixels.new_tensor(each).reshape(1, 3, 1, 1) * 255
            for each in (self.config.mean, self.config.deviation_of_pixels)
        )
        return (pixels - mean) / deviation


class AttributeLearner(Learner):
    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = begin(config)
        self.network = TaskNetwork(self.trunk, len(config.values), dropout=config.dropout)

    def served(self) -> nn.Module:
        return self.network

    def heads(self) -> nn.Module:
        return self.network.head

    def fit_head(self, examples: Examples) -> None:
        """Give the head the best weights for the trunk as it is, before both learn together.

        A head that begins with chance tears the trunk about for an epoch or two, and what the trunk knew is lost (Kumar
        et al., "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution", ICLR 2022).
        """
        device = self.network.head.weight.device
        rows = np.sort(np.random.default_rng(self.config.seed).permutation(len(examples))[:FITTED])
        features = self._features(examples, rows)
        mean, deviation = features.mean(dim=0), features.std(dim=0) + 1e-6
        scaled = (features - mean) / deviation
        head = nn.Linear(features.shape[1], len(self.config.values), device=device)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        search = torch.optim.LBFGS(head.parameters(), max_iter=100, line_search_fn="strong_wolfe")

        def lowered() -> Tensor:
            search.zero_grad()
            loss = self._weighed(head(scaled), examples, rows) + RIDGE * (head.weight**2).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        search.step(lowered)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            self.network.head.weight.copy_(head.weight / deviation)
            self.network.head.bias.copy_(head.bias - self.network.head.weight @ mean)

    @torch.no_grad()
    def _features(self, examples: Examples, rows: np.ndarray) -> Tensor:
        """What the trunk sees of these rows (n, width)."""
        self.eval()
        device = self.network.head.weight.device
        parts = (examples.pictures.take(rows[start : start + EVALUATED]) for start in range(0, len(rows), EVALUATED))
        return torch.cat([self.network.see(self.normalise(as_pixels(part, device))).float() for part in parts])

    def forward(self, pixels: Tensor, examples: Examples, rows: np.ndarray, *, last: bool = False) -> Tensor:
        """`last` says that the run is in the epochs which lower the apparent error itself."""
        return self._weighed(self.network(self.normalise(pixels)).float(), examples, rows, last=last)

    def _weighed(self, logits: Tensor, examples: Examples, rows: np.ndarray, *, last: bool = False) -> Tensor:
        each = self._loss(logits, examples, rows, last)
        if examples.weights is not None:
            each = each * torch.from_numpy(examples.weights[rows]).to(each.device)
        return each.mean()

    def _loss(self, logits: Tensor, examples: Examples, rows: np.ndarray, last: bool) -> Tensor:
        target = targets(examples, rows, self.config).to(logits.device)
        if self.config.loss == "soft labels":
            return losses.soft_cross_entropy(logits, target)
        if self.config.loss == "squared EMD":
            return losses.soft_cross_entropy(logits, target) + losses.squared_emd(logits, target)
        years, spread = (each.to(logits.device) for each in years_of(examples, rows, self.config))
        if last:
            return losses.apparent_error(losses.expected_years(logits), years, spread)
        return losses.age_loss(logits, target, years, l1=self.config.l1)

    @torch.inference_mode()
    def logits(self, examples: Examples) -> Tensor:
        """(n, outputs), with the mirror image if the configuration says so."""
        self.eval()
        device = next(self.parameters()).device
        found = []
        for start in range(0, len(examples), EVALUATED):
            pixels = self.normalise(as_pixels(examples.pictures.take(slice(start, start + EVALUATED)), device))
            told = self.network(pixels)
            if self.config.flip:
                told = (told + self.network(pixels.flip(3))) / 2
            found.append(told.float().cpu())
        return torch.cat(found)

    def validate(self, examples: Examples) -> tuple[dict[str, float], float]:
        logits, rows = self.logits(examples), np.arange(len(examples))
        loss = float(losses.soft_cross_entropy(logits, targets(examples, rows, self.config)).mean())
        if self.config.loss != "age":
            truth = examples.values if not self.config.groups else group_of(examples.values, self.config.groups)
            accuracy = float((logits.argmax(dim=1).numpy() == truth).mean())
            return {"loss": loss, "accuracy": accuracy}, accuracy
        years = losses.expected_years(logits).numpy()
        mae = float(np.abs(years - examples.values).mean())
        if self.config.epsilon and examples.deviation is not None:
            known = np.nan_to_num(examples.deviation) > 0
            if known.any():
                deviation = examples.deviation[known].astype(np.float64)
                error = float(epsilon(years[known].astype(np.float64), examples.values[known], deviation).mean())
                return {"loss": loss, "mae": mae, "epsilon": error}, -error
        return {"loss": loss, "mae": mae}, -mae


class EmbeddingLearner(Learner):
    """A backbone, by the margin between identities or by where a teacher puts the faces."""

    def __init__(self, config: TrainConfig, identities: Mapping[int, int]) -> None:
        super().__init__()
        self.config = config
        self.trunk = begin(config)
        self.identities = identities
        self.margin: losses.Margin | None = None
        if config.loss == "margin":
            arc, cosine = (0.5, 0.0) if config.margin == "arcface" else (0.0, 0.35)
            self.margin = losses.Margin(
                config.dimensions, len(identities), arc=arc, cosine=cosine, centres=config.centres
            )

    def served(self) -> nn.Module:
        return self.trunk

    def heads(self) -> nn.Module:
        return nn.ModuleList([self.margin] if self.margin else [])

    def forward(self, pixels: Tensor, examples: Examples, rows: np.ndarray, *, generator: torch.Generator) -> Tensor:
        embeddings = self.trunk(self.normalise(pixels)).float()
        if self.margin is None:
            assert examples.vectors is not None
            return losses.distilled(embeddings, torch.from_numpy(examples.vectors[rows]).to(embeddings.device)).mean()
        who = torch.tensor([self.identities[int(each)] for each in examples.values[rows]], device=embeddings.device)
        only = None
        if self.config.sampled < 1:
            only, who = losses.sampled(who, len(self.identities), self.config.sampled, generator)
        return functional.cross_entropy(self.margin(embeddings, who, only), who)

    @torch.inference_mode()
    def vectors(self, examples: Examples) -> Tensor:
        """(n, dimensions), of unit length."""
        self.eval()
        device = next(self.parameters()).device
        found = []
        for start in range(0, len(examples), EVALUATED):
            pixels = self.normalise(as_pixels(examples.pictures.take(slice(start, start + EVALUATED)), device))
            told = self.trunk(pixels)
            found.append((told + self.trunk(pixels.flip(3)) if self.config.flip else told).float().cpu())
        return functional.normalize(torch.cat(found))

    def validate(self, examples: Examples) -> tuple[dict[str, float], float]:
        vectors = self.vectors(examples)
        figures = dict[str, float]()
        if examples.vectors is not None:
            figures["cosine"] = float((vectors * torch.from_numpy(examples.vectors)).sum(dim=1).mean())
        known = examples.values >= 0
        found = true_accepts(vectors.numpy()[known], examples.values[known].astype(np.int64), FALSE_ACCEPTS)
        if found is not None:
            figures["true_accepts"] = found
        if not figures:
            raise BadConfig("Nobody is twice among the faces to validate with, so a backbone cannot be judged by them.")
        return figures, figures.get("cosine", figures.get("true_accepts", 0.0))


def begin(config: TrainConfig) -> Trunk:
    """The trunk with the weights that a run begins with. Raises BadConfig, BadBundle, UnusableBackbone."""
    trunk = build(config.architecture, config.dimensions)
    if config.start == SCRATCH:
        return trunk
    if config.start == COLD:
        weights = dict(read_dlib(cold_start().main_weights).state_dict())
    else:
        given = load(Path(config.start))
        if given.architecture != config.architecture:
            raise BadConfig(f"{given.name} is a {given.architecture}, not a {config.architecture}: set architecture.")
        weights = read_weights(given.main_weights)
        if given.task != EMBEDDING:  # another attribute's network: its trunk serves, its head does not
            weights = {n.removeprefix("trunk."): value for n, value in weights.items() if n.startswith("trunk.")}
    ours = trunk.state_dict()
    # A projection to other dimensions begins anew; all else must fit.
    fitting = {n: v for n, v in weights.items() if not (n.startswith("projection.") and v.shape != ours[n].shape)}
    missing, unexpected = trunk.load_state_dict(fitting, strict=False)
    if unexpected or any(not name.startswith("projection.") for name in missing):
        raise BadConfig(f"The weights of {config.start} are not those of {config.architecture}.")
    return trunk


def as_pixels(crops: np.ndarray, device: torch.device) -> Tensor:
    """Crops (n, side, side, 3) as pixels (n, 3, side, side), 0–255."""
    pixels = torch.from_numpy(np.ascontiguousarray(crops)).to(device, non_blocking=True)
    return pixels.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
