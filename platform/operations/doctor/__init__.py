"""`manage.py doctor`: what is wrong with this installation, and how to mend it."""

from operations.doctor.checkup import check_all
from operations.doctor.findings import Finding, Level

__all__ = ["Finding", "Level", "check_all"]
