"""What previews say, wherever they are shown."""

from .preview import Preview


def who_is_in_charge(found: Preview) -> str:
    """Which policy, and why."""
    if found.policy is None:
        return "nobody is paged, as no routing rule takes it and the team has no default policy"
    if found.rule is None:
        return f"{found.policy}, the team's default policy"
    return f"{found.policy}, by rule {found.rule.position + 1} ({found.rule.conditions_in_words})"
