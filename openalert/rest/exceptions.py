"""Named failures of the REST doors themselves."""

from rest_framework import status
from rest_framework.exceptions import APIException


class Conflict(APIException):
    """What is asked for does not go together with what is there."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"
    default_detail = "This does not go together with something that is there already."


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"
    default_detail = "The request's body is too large."


class InvalidCursor(APIException):
    """The cursor of a page was changed on its way, or belongs to another ordering."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_code = "invalid_cursor"
    default_detail = "Start again without a cursor: this one does not belong to this list."
