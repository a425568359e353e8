"""How often people were paged, month by month: what a report about a year adds up. Written only by notifications.counted_pages."""

from django.db import models


class CountedPagesMonth(models.Model):
    """A calendar month in UTC whose pages are counted. Triggers of the database forget it when what it tells has changed."""

    month = models.DateField(primary_key=True)

    def __str__(self) -> str:
        return f"{self.month:%B %Y}"


class MonthlyPages(models.Model):
    """Pages of a person for a service, and their messages, by what reports ask for. Hour and weekend are the person's own."""

    id = models.BigAutoField(primary_key=True)
    month = models.ForeignKey(CountedPagesMonth, on_delete=models.CASCADE, related_name="pages")
    user_id = models.UUIDField()
    service_id = models.UUIDField()
    severity = models.CharField(max_length=16)
    hour = models.PositiveSmallIntegerField()
    is_weekend = models.BooleanField()
    pages = models.PositiveIntegerField()
    messages = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.pages} in {self.month}"
