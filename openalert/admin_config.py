"""Django's admin with a site of ours, which lets in by role."""

from django.contrib.admin.apps import AdminConfig


class RoleAdminConfig(AdminConfig):
    default_site = "openalert.admin_site.RoleAdminSite"
