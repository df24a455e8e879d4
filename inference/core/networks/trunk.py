"""What every network of ours offers: features for a head to decide by, and an embedding that tells people apart."""

from torch import Tensor, nn


class Trunk(nn.Module):
    """A network in stages, from pixels to features, with one projection from features to the embedding.

    Pixels are (n, 3, side, side), normalised as the bundle says; the side is free, as features are pooled or, where
    they are not, `side` says the only one.
    """

    stages: nn.ModuleList  # in the order of the pixels' way: the first ones learn least when fine-tuned
    width: int  # of the features
    dimensions: int  # of the embedding
    side: int  # pixels that it was designed for
    any_side: bool = True

    def features(self, pixels: Tensor) -> Tensor:
        """(n, width), of any length."""
        raise NotImplementedError

    def project(self, features: Tensor) -> Tensor:
        """From features (n, width) to raw embeddings (n, dimensions), not yet of unit length."""
        raise NotImplementedError

    def forward(self, pixels: Tensor) -> Tensor:
        return self.project(self.features(pixels))
