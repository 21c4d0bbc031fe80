"""The watermark of generated text: its keyed noise, and the detector that finds it. NumPy alone."""

from provenance.watermark.detector import Detection, Finding, Verdict, detect, examine

__all__ = ["Detection", "Finding", "Verdict", "detect", "examine"]
