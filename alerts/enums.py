"""Choices of the alerts app."""

from enum import StrEnum

from django.db import models


class AlertStatus(models.TextChoices):
    FIRING = "firing", "Firing"
    RESOLVED = "resolved", "Resolved"


class EventStatus(StrEnum):
    """What an event says of its problem. Firing and resolved are an alert's own; the last is its incident's."""

    FIRING = "firing"
    RESOLVED = "resolved"
    ACKNOWLEDGED = "acknowledged"


class Source(models.TextChoices):
    """What an integration speaks, hence at which address it listens."""

    OPENALERT = "openalert", "OpenAlert API"
    ALERTMANAGER = "alertmanager", "Prometheus Alertmanager"
    PROMETHEUS = "prometheus", "Prometheus, without an Alertmanager"
    GRAFANA = "grafana", "Grafana"
    PAGERDUTY = "pagerduty", "PagerDuty Events API v2"
    OPSGENIE = "opsgenie", "Opsgenie Alert API"
    CLOUDWATCH = "cloudwatch", "Amazon CloudWatch"
    DATADOG = "datadog", "Datadog"
    SENTRY = "sentry", "Sentry"
    ZABBIX = "zabbix", "Zabbix"
    UPTIME_KUMA = "uptime-kuma", "Uptime Kuma"
    AZURE = "azure", "Azure Monitor"
    GOOGLE_CLOUD = "google-cloud", "Google Cloud Monitoring"
    NEW_RELIC = "new-relic", "New Relic"
    GITHUB = "github", "GitHub Actions"
    GITLAB = "gitlab", "GitLab"
    NAGIOS = "nagios", "Icinga and Nagios"
    CLOUDEVENTS = "cloudevents", "CloudEvents"
    EMAIL = "email", "Email"
    GENERIC = "generic", "Any JSON"


class Grouping(models.TextChoices):
    NAME = "name", "By alert name"
    LABELS = "labels", "By chosen labels"
    ALL = "all", "All together"
    NONE = "none", "Not at all: an incident for each alert"


class IntervalUnit(models.TextChoices):
    """Of a heartbeat; the values are also those of Opsgenie's API, and timedelta's."""

    MINUTES = "minutes", "Minutes"
    HOURS = "hours", "Hours"
    DAYS = "days", "Days"


class PingKind(models.TextChoices):
    """What a program says of itself."""

    SUCCESS = "success", "Done"
    START = "start", "Started"
    FAIL = "fail", "Failed"


class Repeats(models.TextChoices):
    """How often maintenance comes again; each begins from what the first time is."""

    DAILY = "daily", "Every day"
    WEEKDAYS = "weekdays", "Monday to Friday"
    WEEKLY = "weekly", "Every week"
    BIWEEKLY = "biweekly", "Every two weeks"
    MONTHLY_DATE = "monthly_date", "Every month, on the same day"
    MONTHLY_WEEKDAY = "monthly_weekday", "Every month, on the same weekday of it (second Tuesday)"


class MaintenanceMode(models.TextChoices):
    """What a maintenance window does to paging."""

    SUPPRESS = "suppress", "Nobody is paged"
    LOW_URGENCY = "low_urgency", "People are paged with low urgency"
