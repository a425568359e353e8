"""The root of every named failure of ours."""


class OpenAlertError(Exception):
    """A failure with a name: `code` for programs, `detail` for people, `status` for HTTP.

    Each app's exceptions.py has one subclass per failure; the API and the pages show the same words.
    """

    code = "error"
    detail = "Something went wrong."
    status = 400

    def __init__(self, detail: str | None = None, *, field: str | None = None) -> None:
        self.detail = detail or self.detail
        self.field = field
        super().__init__(self.detail)


class PermissionMissing(OpenAlertError):
    """The person may see the thing but not do this with it."""

    code = "permission_denied"
    detail = "You may not do this."
    status = 403
