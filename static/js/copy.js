/** [data-copy="text"], or [data-copy] beside a <pre> or <code>, copies to the clipboard. */

import { toast } from "./toast.js";

const SAY_COPIED_MS = 1600;

async function onClick({ target }) {
  const button = target.closest("[data-copy]");
  if (!button) return;
  const text = button.dataset.copy || button.parentElement.querySelector("pre, code").textContent.trim();
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Browsers give the clipboard to https and localhost only.
    toast({ title: "Could not copy", body: "Select the text and copy it by hand.", tone: "warning" });
    return;
  }
  const label = button.querySelector("[data-copy-label]");
  if (!label || button.dataset.copied) return;
  const before = label.textContent;
  button.dataset.copied = "yes";
  label.textContent = "Copied";
  setTimeout(() => {
    label.textContent = before;
    delete button.dataset.copied;
  }, SAY_COPIED_MS);
}

export const start = () => document.addEventListener("click", onClick);
