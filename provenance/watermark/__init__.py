"""The watermark of generated text: its keyed noise, and the detector that finds it. NumPy alone."""

from provenance.watermark.detector import Detection, Finding, Verdict, detect, examine
from provenance.watermark.keys import BadWatermarkKeys, parse_keys

__all__ = ["BadWatermarkKeys", "Detection", "Finding", "Verdict", "detect", "examine", "parse_keys"]
