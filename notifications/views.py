"""A person's own pages: how they are reached, what reached them, and the mailbox."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from .enums import Channel
from .models import ContactMethod, MailboxMessage, Notification


@login_required
@require_GET
def me(request: HttpRequest) -> HttpResponse:
    return render(
        request, "notifications/me.html", {"methods": ContactMethod.objects.filter(user=request.user)}
    )


@login_required
@require_GET
def my_pages(request: HttpRequest) -> HttpResponse:
    pages = Notification.objects.filter(user=request.user, channel=Channel.IN_APP)
    return render(request, "notifications/my_pages.html", {"pages": pages})


@login_required
@require_GET
def mailbox(request: HttpRequest) -> HttpResponse:
    mails = MailboxMessage.objects.filter(recipient__iexact=request.user.email)
    return render(request, "notifications/mailbox.html", {"mails": mails})


@login_required
@require_GET
def mailbox_message(request: HttpRequest, pk: UUID) -> HttpResponse:
    mails = MailboxMessage.objects.filter(recipient__iexact=request.user.email)
    return render(request, "notifications/mailbox_message.html", {"mail": get_object_or_404(mails, pk=pk)})
