"""A policy's steps in the admin: put in order, and saved as its page saves them."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminSelect2MultipleWidget

from openalert.admin_order import OrderedForm, OrderedFormSet, OrderedInline

from . import policies
from .models import EscalationStep
from .policies import NewStep
from .policy_forms import MOST_STEPS, MOST_TARGETS, Choices, choices_for, word_of


class StepForm(OrderedForm):
    targets = forms.MultipleChoiceField(
        label="Pages",
        widget=UnfoldAdminSelect2MultipleWidget(attrs={"aria-label": "Pages"}),
        error_messages={"required": "Say whom to page."},
    )

    class Meta:
        model = EscalationStep
        fields = ("position", "targets", "delay_seconds")

    def __init__(self, *args: Any, groups: dict[str, Choices], **options: Any) -> None:
        super().__init__(*args, **options)
        self._choices = {word: target for group in groups.values() for word, (_, target) in group.items()}
        self.fields["targets"].choices = [
            (name, [(word, words) for word, (words, _) in group.items()]) for name, group in groups.items()
        ]
        if not self.instance._state.adding:
            self.initial["targets"] = [word_of(row) for row in self.instance.targets.all()]

    def clean_targets(self) -> list[str]:
        words = self.cleaned_data["targets"]
        if len(words) > MOST_TARGETS:
            raise ValidationError(f"A step can page at most {MOST_TARGETS} targets.")
        return words

    @property
    def step(self) -> NewStep:
        """For a valid form."""
        targets = [self._choices[word] for word in self.cleaned_data["targets"]]
        return NewStep(self.cleaned_data["delay_seconds"], targets)


class StepFormSet(OrderedFormSet):
    spares_added = False  # all are written anew

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._groups = choices_for(self.instance.team, self.instance)

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        return {**super().get_form_kwargs(index), "groups": self._groups}

    def clean(self) -> None:
        super().clean()
        staying = self.in_order() if self.is_bound and not any(self.errors) else self.forms
        if len(staying) > MOST_STEPS:
            raise ValidationError(f"A policy has at most {MOST_STEPS} steps.")
        if not staying and self.deleted_forms:
            raise ValidationError("Leave a step: without one, nobody is paged.")

    def write(self, staying: Sequence[StepForm]) -> None:
        policies.save_policy(self.instance, steps=[form.step for form in staying])


class StepInline(OrderedInline):
    """Only a policy that is saved has steps: whom they may page is its team's."""

    model = EscalationStep
    form = StepForm
    formset = StepFormSet
    fields = ("position", "targets", "delay_seconds")

    def get_queryset(self, request: HttpRequest) -> QuerySet[EscalationStep]:
        steps = super().get_queryset(request)
        return steps.prefetch_related("targets__user", "targets__schedule", "targets__team")

    @admin.display(description="pages")
    def targets(self, step: EscalationStep) -> str:
        """For whoever may only look."""
        return ", ".join(map(str, step.targets.all())) or "nobody"
