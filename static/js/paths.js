/** [data-path="a.b[0]"], pressed, puts that JMESPath into the [data-takes-path] where somebody wrote last, or copies it. */

import { toast } from "./toast.js";

// What a template can say with dots: payload.a.b; a list's elements too.
const PLAIN = /^[A-Za-z_][\w]*(\.[A-Za-z_]\w*|\[\d+\])*$/;

let taker;

/** Paths are those of the whole payload; the fields see one element of what `each` picks, or of a list at the top. */
function seenFrom(field, path) {
  if (field.name === "each") return path;
  const each = document.querySelector("[data-takes-path][name=each]")?.value.trim() ?? "";
  const list = each.replace(/\[\*?\]$/, "");
  const inside = path.startsWith(list) && path.slice(list.length).match(/^\[\d+\]\.?(.+)$/);
  return inside ? inside[1] : path;
}

function put(field, path) {
  const isTemplate = /\{[{%]/.test(field.value);
  if (!isTemplate) field.value = path;
  else if (!PLAIN.test(path)) return false;
  else field.setRangeText(`{{ payload.${path} }}`, field.selectionStart, field.selectionEnd, "end");
  field.focus();
  field.dispatchEvent(new Event("input", { bubbles: true }));
  return true;
}

async function onClick({ target }) {
  const key = target.closest("[data-path]");
  if (!key) return;
  const field = taker?.isConnected ? taker : null;
  const path = field ? seenFrom(field, key.dataset.path) : key.dataset.path;
  if (field && put(field, path)) return;
  try {
    await navigator.clipboard.writeText(path);
    toast({ title: "Copied", body: path, tone: "success" });
  } catch {
    // Browsers give the clipboard to https and localhost only.
    toast({ title: path, body: "The path of this key." });
  }
}

document.addEventListener("focusin", ({ target }) => {
  if (target.matches("[data-takes-path]")) taker = target;
});
document.addEventListener("click", onClick);
