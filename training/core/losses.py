"""What training lowers. Each function gives one loss a face (n,), so that faces can be weighed."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

# ---- values and years


def soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy (n,) of logits (n, values) against distributions (n, values).

    With a one-hot target it is the usual one; with the votes of annotators it learns how far they disagree (Barsoum et
    al., "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label Distribution", ICMI 2016).
    """
    return -(target * functional.log_softmax(logits, dim=1)).sum(dim=1)


def soft_years(years: Tensor, deviation: Tensor, bins: int) -> Tensor:
    """Distributions (n, bins) over the years 0 … bins − 1: a Gaussian about each age (n,), cut off and summing to one.

    `deviation` (n,) in years: the annotators' own of an apparent age, how exactly it is known of a real one (Gao et
    al., "Deep Label Distribution Learning with Label Ambiguity", TIP 2017).
    """
    grid = torch.arange(bins, dtype=years.dtype, device=years.device)
    log = -((grid - years[:, None]) ** 2) / (2 * deviation[:, None].clamp_min(0.1) ** 2)
    return torch.softmax(log, dim=1)


def expected_years(logits: Tensor) -> Tensor:
    """The mean (n,) of what is believed of the years (n, bins) (Rothe, Timofte, Van Gool, "DEX", ICCVW 2015)."""
    grid = torch.arange(logits.shape[1], dtype=logits.dtype, device=logits.device)
    return torch.softmax(logits, dim=1) @ grid


def age_loss(logits: Tensor, target: Tensor, years: Tensor, *, l1: float) -> Tensor:
    """Soft labels and the distance of the expectation in years, weighed by `l1` (Gao et al., "Age Estimation Using
    Expectation of Label Distribution Learning", IJCAI 2018)."""
    return soft_cross_entropy(logits, target) + l1 * (expected_years(logits) - years).abs()


def apparent_error(years: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """ε = 1 − exp(−(x − μ)² / 2σ²), the error (n,) that ChaLearn LAP counts, of guesses `years` (n,)."""
    return 1 - torch.exp(-((years - mean) ** 2) / (2 * deviation.clamp_min(0.1) ** 2))


def squared_emd(logits: Tensor, target: Tensor) -> Tensor:
    """The squared earth mover's distance (n,) between ordered groups (Hou, Yu, Samaras, "Squared Earth Mover's
    Distance-based Loss for Training Deep Neural Networks", 2016): far-off groups cost more than neighbours."""
    gap = torch.cumsum(torch.softmax(logits, dim=1) - target, dim=1)
    return (gap**2).sum(dim=1)


# ---- who somebody is


class Margin(nn.Module):
    """Logits over known identities, the own one's made harder by a margin.

    cos(m1·θ + m2) − m3 for the own identity: m2 alone is ArcFace (Deng et al., CVPR 2019), m3 alone CosFace (Wang et
    al., CVPR 2018). With several centres an identity the nearest counts, so that a mislabelled face may gather at a
    centre of its own (Deng et al., "Sub-center ArcFace", ECCV 2020). Where θ + m2 would pass π, the margin is the
    straight line m2·sin(m2) of the paper's code, which keeps the loss falling with θ.
    """

    def __init__(
        self,
        dimensions: int,
        identities: int,
        *,
        arc: float = 0.5,
        cosine: float = 0.0,
        scale: float = 64.0,
        centres: int = 1,
    ) -> None:
        super().__init__()
        if identities < 2:
            raise ValueError(f"{identities} identities cannot be told apart; at least two are needed.")
        self.arc, self.cosine, self.scale, self.centres = arc, cosine, scale, centres
        self.weight = nn.Parameter(torch.empty(identities, centres, dimensions).normal_(std=0.01))

    def forward(self, embeddings: Tensor, identity: Tensor, only: Tensor | None = None) -> Tensor:
        """Logits (n, identities) for raw embeddings (n, dimensions) and who they are (n,).

        With `only` (m,) the logits are over these identities alone, and `identity` counts within them.
        """
        weight = self.weight if only is None else self.weight[only]
        cosines = self.cosines(embeddings, weight)
        own = cosines.gather(1, identity[:, None])
        return self.scale * cosines.scatter(1, identity[:, None], self._hardened(own))

    def cosines(self, embeddings: Tensor, weight: Tensor) -> Tensor:
        """(n, identities): to the nearest centre of each."""
        found = functional.normalize(embeddings) @ functional.normalize(weight.flatten(0, 1)).T
        return found.reshape(len(embeddings), -1, self.centres).amax(dim=2)

    def _hardened(self, cosine: Tensor) -> Tensor:
        cosine = cosine.clamp(-1 + 1e-6, 1 - 1e-6)
        if self.arc:
            sine = torch.sqrt(1 - cosine**2)
            turned = cosine * math.cos(self.arc) - sine * math.sin(self.arc)
            straight = cosine - math.sin(self.arc) * self.arc
            cosine = torch.where(cosine > math.cos(math.pi - self.arc), turned, straight)
        return cosine - self.cosine


def sampled(identity: Tensor, identities: int, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Identities to compare with in one step, and where `identity` (n,) is among them (n,).

    All that are in the batch, and others by chance up to this share of all (An et al., "Killing Two Birds with One
    Stone: Efficient and Robust Training of Face Recognition CNNs by Partial FC", CVPR 2022): a softmax over a million
    identities costs a tenth at no loss of accuracy.
    """
    present = torch.unique(identity.cpu())
    wanted = max(int(share * identities), len(present))
    order = torch.rand(identities, generator=generator)
    order[present] = 2.0  # above all others
    chosen = torch.sort(torch.topk(order, wanted).indices).values.to(identity.device)
    return chosen, torch.searchsorted(chosen, identity)


def distilled(embeddings: Tensor, teacher: Tensor) -> Tensor:
    """1 − cosine (n,) to a teacher's unit vectors (n, dimensions): a student's face lies where the teacher's does."""
    return 1 - (functional.normalize(embeddings) * teacher).sum(dim=1)
