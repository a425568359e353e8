"""The admin's site: Unfold's, for those whom admin_roles lets in."""

from django.http import HttpRequest
from unfold.sites import UnfoldAdminSite


class RoleAdminSite(UnfoldAdminSite):
    def has_permission(self, request: HttpRequest) -> bool:
        from openalert import admin_roles  # the site is made before there are models

        return admin_roles.may_enter(request.user)
