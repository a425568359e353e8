"""How often people were paged, month by month: what a report about a year adds up. Written only by notifications.counted_pages."""

from django.db import models


class CountedPagesMonth(models.Model):
    """A calendar month in UTC whose pages are counted. While a ChangedPages is about it, its rows are read."""

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


class ChangedPages(models.Model):
    """Something of these months changed, so what is counted of them is not to be told: triggers of the database write it in
    the transaction of the change, a row for each change, so that none waits for another. Gone when they are counted anew."""

    id = models.BigAutoField(primary_key=True)
    since = models.DateField()
    until = models.DateField(null=True)

    def __str__(self) -> str:
        return (
            f"{self.since:%B %Y} and later"
            if self.until is None
            else f"{self.since:%B %Y} to {self.until:%B %Y}"
        )
