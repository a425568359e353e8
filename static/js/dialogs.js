/** Native dialogs.
 *
 * [data-dialog-open="id"] opens one, [data-dialog-close] inside closes it. What htmx swaps into a <dialog>
 * opens it (hx-target="#dialog"); the response header HX-Trigger: close-dialog closes it.
 * hx-confirm asks in #confirm-dialog instead of the browser's own box.
 */

function closeOpen() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}

function onClick({ target, clientX, clientY }) {
  const opener = target.closest("[data-dialog-open]");
  if (opener) document.getElementById(opener.dataset.dialogOpen)?.showModal();
  if (target.closest("[data-dialog-close]")) target.closest("dialog")?.close();
  // The backdrop belongs to the dialog. What somebody has typed must not be lost to a slip beside it.
  if (target.matches("dialog[open]") && !target.querySelector("form:not([method=dialog])")) {
    const box = target.getBoundingClientRect();
    const outside = clientX < box.left || clientX > box.right || clientY < box.top || clientY > box.bottom;
    if (outside) target.close();
  }
}

function onConfirm(event) {
  const { question, issueRequest, elt } = event.detail;
  if (!question) return;
  event.preventDefault();
  const dialog = document.getElementById("confirm-dialog");
  dialog.querySelector("[data-confirm-question]").textContent = question;
  dialog.querySelector("[value=yes]").textContent = elt.dataset.confirmLabel ?? "Yes";
  dialog.returnValue = "";
  // Were it replaced meanwhile, the answer would come to nothing: live.js leaves alone what is being asked about.
  elt.dataset.asking = "";
  const answered = () => {
    delete elt.dataset.asking;
    if (dialog.returnValue === "yes") issueRequest(true);
  };
  dialog.addEventListener("close", answered, { once: true });
  dialog.showModal();
}

export function start() {
  document.addEventListener("click", onClick);
  document.addEventListener("htmx:confirm", onConfirm);
  document.addEventListener("close-dialog", closeOpen);
  document.addEventListener("htmx:afterSwap", ({ detail: { target } }) => {
    if (target.matches("dialog:not([open])") && target.childElementCount) target.showModal();
  });
  // `close` does not bubble.
  document.addEventListener("close", ({ target }) => target.id === "dialog" && target.replaceChildren(), true);
}
