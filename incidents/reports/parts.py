"""The sections of the page of reports. Higher apps add theirs in AppConfig.ready(): no import runs from here to them."""

from .blocks import Section

_sections: dict[str, Section] = {}


def register(section: Section) -> None:
    """Adding one of the same slug again replaces it."""
    _sections[section.slug] = section


def sections() -> list[Section]:
    return sorted(_sections.values(), key=lambda section: section.place)


def section(slug: str) -> Section | None:
    return _sections.get(slug)
