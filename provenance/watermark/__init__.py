"""The watermark of generated text: its keyed noise, and the detector that finds it."""
