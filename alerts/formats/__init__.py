"""One small pure module for each format; `base` says what a format is."""

from http import HTTPStatus

from alerts.enums import Source

from . import (
    alertmanager,
    azure,
    cloudevents,
    cloudwatch,
    datadog,
    email,
    generic,
    github,
    gitlab,
    google_cloud,
    grafana,
    mime,
    nagios,
    new_relic,
    openalert,
    opsgenie,
    pagerduty,
    prometheus,
    sentry,
    uptime_kuma,
    zabbix,
)
from .base import Format, key_in_authorization
from .signing import check_bearer

FORMATS: dict[Source, Format] = {
    format.source: format
    for format in (
        Format(
            source=Source.OPENALERT,
            decode=openalert.decode,
            read=openalert.read,
            key=key_in_authorization("Bearer"),
        ),
        Format(source=Source.ALERTMANAGER, read=alertmanager.read),
        Format(
            source=Source.PROMETHEUS,
            decode=prometheus.decode,
            check=prometheus.check,
            read=prometheus.read,
            answer=prometheus.answer,
            methods=("GET", "POST"),
            tails=(prometheus.ALERTS, prometheus.STATUS),
        ),
        Format(source=Source.GRAFANA, check=grafana.check, read=grafana.read),
        Format(
            source=Source.PAGERDUTY,
            decode=pagerduty.decode,
            key=pagerduty.key,
            key_is_in_payload=True,
            read=pagerduty.read,
            answer=pagerduty.answer,
            refuse=pagerduty.refuse,
            throttled=HTTPStatus.TOO_MANY_REQUESTS,
        ),
        Format(source=Source.CLOUDWATCH, check=cloudwatch.check, read=cloudwatch.read),
        Format(source=Source.DATADOG, check=check_bearer, read=datadog.read),
        Format(source=Source.AZURE, check=check_bearer, read=azure.read),
        Format(source=Source.GOOGLE_CLOUD, read=google_cloud.read),
        Format(source=Source.NEW_RELIC, check=check_bearer, read=new_relic.read),
        Format(source=Source.EMAIL, decode=mime.decode, reader_for=email.reader_for, check=email.check),
        Format(
            source=Source.OPSGENIE,
            read=opsgenie.read,
            key=opsgenie.key,
            challenge=opsgenie.SCHEME,
            answer=opsgenie.answer,
            refuse=opsgenie.refuse,
            throttled=HTTPStatus.TOO_MANY_REQUESTS,
        ),
        Format(source=Source.SENTRY, check=sentry.check, read=sentry.read),
        Format(source=Source.ZABBIX, check=check_bearer, read=zabbix.read),
        Format(
            source=Source.UPTIME_KUMA, decode=uptime_kuma.decode, check=check_bearer, read=uptime_kuma.read
        ),
        Format(source=Source.GITHUB, decode=github.decode, check=github.check, read=github.read),
        Format(source=Source.GITLAB, check=gitlab.check, read=gitlab.read),
        Format(source=Source.NAGIOS, decode=nagios.decode, check=check_bearer, read=nagios.read),
        Format(
            source=Source.CLOUDEVENTS,
            decode=cloudevents.decode,
            check=cloudevents.check,
            read=cloudevents.read,
            methods=cloudevents.METHODS,
        ),
        Format(source=Source.GENERIC, check=check_bearer, reader_for=generic.reader_for, in_thread=True),
    )
}
