/** Keyboard shortcuts: single keys ("a", "/", "?") or two in a row ("g i").
 *
 * [data-shortcut="a"] on a visible link or button presses it, on a field focuses it; data-shortcut-label names
 * it in the help, else its own text does. `register` adds what has no element. People can switch all of it off
 * (WCAG 2.1.4), in the help that "?" opens.
 */

import * as rows from "./rows.js";
import { recall, remember } from "./storage.js";

const SEQUENCE_MS = 1200;
const registered = new Map();

let first = "";
let firstAt = 0;

/** `run` is called when `keys` are pressed outside of fields and dialogs. */
export function register({ keys, label, run }) {
  registered.set(keys, { label, run });
}

const enabled = () => recall("shortcuts") !== "off";
const elements = () => [...document.querySelectorAll("[data-shortcut]")].filter((element) => element.checkVisibility());

function isTyping(target) {
  return target.isContentEditable || target.matches("input:not([type=checkbox], [type=radio]), textarea, select");
}

function press(keys) {
  const element = elements().find((candidate) => candidate.dataset.shortcut === keys && !candidate.disabled);
  if (element?.matches("input, textarea, select")) element.focus();
  else if (element) element.click();
  else if (registered.has(keys)) registered.get(keys).run();
  else return false;
  return true;
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.key.length !== 1) return;
  if (event.defaultPrevented || event.repeat || isTyping(event.target) || document.querySelector("dialog:modal")) return;
  if (!enabled() && event.key !== "?") return;
  const sequence = first && event.timeStamp - firstAt < SEQUENCE_MS ? `${first} ${event.key}` : "";
  const done = (sequence && press(sequence)) || press(event.key);
  if (done) event.preventDefault();
  first = done ? "" : event.key;
  firstAt = event.timeStamp;
}

function labelOf(element) {
  const copy = element.cloneNode(true);
  for (const hint of copy.querySelectorAll(".kbd, .count")) hint.remove();
  return element.dataset.shortcutLabel ?? element.ariaLabel ?? copy.textContent.trim();
}

function showHelp() {
  const dialog = document.getElementById("shortcuts-dialog");
  const entries = new Map([...registered].map(([keys, { label }]) => [keys, label]));
  for (const element of elements()) entries.set(element.dataset.shortcut, labelOf(element));
  const list = dialog.querySelector("[data-shortcut-list]");
  list.replaceChildren();
  for (const [keys, label] of entries) {
    const term = document.createElement("dt");
    for (const key of keys.split(" ")) {
      const hint = document.createElement("kbd");
      hint.className = "kbd";
      hint.textContent = key;
      term.append(hint, " ");
    }
    const description = document.createElement("dd");
    description.textContent = label;
    list.append(term, description);
  }
  dialog.querySelector("[data-shortcuts-enabled]").checked = enabled();
  dialog.showModal();
}

export function start() {
  if (!document.getElementById("shortcuts-dialog")) return;
  rows.start();
  register({ keys: "j", label: "Next in the list", run: () => rows.step(1) });
  register({ keys: "k", label: "Previous in the list", run: () => rows.step(-1) });
  register({ keys: "?", label: "This help", run: showHelp });
  document.addEventListener("keydown", onKey);
  document.addEventListener("change", ({ target }) => {
    if (target.matches("[data-shortcuts-enabled]")) remember("shortcuts", target.checked ? null : "off");
  });
  document.addEventListener("click", ({ target }) => target.closest("[data-shortcuts-help]") && showHelp());
}
