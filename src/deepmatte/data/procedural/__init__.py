"""The embedded, licence-free matting benchmark: foregrounds drawn with exact alpha and exact colours."""

from deepmatte.data.procedural.names import VERSION
from deepmatte.data.procedural.source import BackgroundSet, ForegroundSet, ProceduralData

__all__ = ["VERSION", "BackgroundSet", "ForegroundSet", "ProceduralData"]
