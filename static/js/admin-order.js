// Rows of the admin that can be dragged: their numbers begin with 1. Loaded before Unfold's own scripts.

// Unfold's function counts from 0, and numbers rows that are still empty, too. It is looked up when Alpine starts.
document.addEventListener("alpine:init", () => {
  window.sortRecords = ({ from }) => {
    const rows = from.querySelectorAll(":scope > .form-group.original");
    rows.forEach((row, index) => {
      const place = row.querySelector(`input[name$="-${from.dataset.orderingField}"]`);
      place.value = index + 1;
      place.dispatchEvent(new Event("change", { bubbles: true }));
    });
  };
});

// A row that was just added has lists to choose from, as the others have.
document.addEventListener("formset:added", ({ target }) => {
  const $ = window.django?.jQuery;
  if ($?.fn.djangoCustomSelect2) $(target).find(".unfold-admin-autocomplete").djangoCustomSelect2();
});
