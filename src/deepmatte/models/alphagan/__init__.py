"""AlphaGAN (Lutz, Amplianitis, Smolic 2018): a generator of mattes, and a discriminator of their composites."""

from deepmatte.models.alphagan.discriminator import PatchDiscriminator

__all__ = ["PatchDiscriminator"]
