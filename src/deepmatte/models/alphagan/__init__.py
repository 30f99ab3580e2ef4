"""AlphaGAN (Lutz, Amplianitis, Smolic 2018): a generator of mattes, and a discriminator."""

from deepmatte.models.alphagan.discriminator import PatchDiscriminator
from deepmatte.models.alphagan.network import AlphaGAN

__all__ = ["AlphaGAN", "PatchDiscriminator"]
