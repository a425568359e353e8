"""Handlers of lower apps' facts."""


def connect() -> None:
    pass
