"""A person's own quiet hours."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from .forms import QuietHoursForm
from .models import QuietHours
from .views import render_me, said_on_me


@login_required
@require_POST
def add(request: HttpRequest) -> HttpResponse:
    form = QuietHoursForm(request.POST, user=request.user)
    if not form.is_valid():
        return render_me(request, quiet_form=form)
    return said_on_me(request, f"Quiet hours: {form.save()}")


@login_required
@require_POST
def remove(request: HttpRequest, pk: UUID) -> HttpResponse:
    quiet_hours = get_object_or_404(QuietHours, user=request.user, pk=pk)
    quiet_hours.delete()
    return said_on_me(request, f"No longer quiet: {quiet_hours}")
