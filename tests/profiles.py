"""How many examples property tests try: a fifth in `make test`, all in CI, ten times as many at night.

A profile is chosen by pytest's option --hypothesis-profile.
"""

from hypothesis import HealthCheck, Phase, settings

PERCENT = {
    "quick": 20,
    "ci": 100,
    "nightly": 1000,
}  # of Hypothesis' own 100 examples, and of what a test names
SHRINKS_FROM = 1000  # percent; shrinking a long history of requests takes minutes


def register_profiles() -> None:
    """Register the profiles with Hypothesis and load the quick one."""
    for name, percent in PERCENT.items():
        # How long an example takes depends on what else the machine does.
        settings.register_profile(
            name, max_examples=percent, deadline=None, suppress_health_check=list(HealthCheck)
        )
    settings.load_profile("quick")


def examples(count: int) -> int:
    """Return how many of a test's `count` examples the present profile tries, at least one."""
    return max(1, count * settings.default.max_examples // 100)


def phases() -> list[Phase]:
    """Return the phases of a test whose failures shrink slowly: they shrink only at night."""
    return [phase for phase in Phase if phase is not Phase.shrink or examples(100) >= SHRINKS_FROM]
