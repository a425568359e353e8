/** The list of incidents: choosing several, answering by keyboard, and saying when it could not be loaded.
 *
 * The list is fetched again whenever something happens, so what is chosen is remembered here, by number.
 * In a row: [name=number] chooses it, [data-row-action="a"] is its button for a key. [data-choose=all | none],
 * [data-choice-count] and the shortcuts of the chosen stand in form#bulk, outside of the list.
 */

import { register } from "./shortcuts.js";
import { toast } from "./toast.js";

const chosen = new Set();

const list = () => document.getElementById("incidents");
const boxes = () => [...document.querySelectorAll("#incidents input[name=number]")];
const bulk = document.getElementById("bulk");

function tell() {
  const count = document.querySelector("[data-choice-count]");
  if (count) count.textContent = `${chosen.size} chosen`;
}

/** After the list was fetched: what is no longer in it is no longer chosen. */
function restore() {
  const here = boxes();
  for (const box of here) box.checked = chosen.has(box.value);
  const numbers = new Set(here.map((box) => box.value));
  for (const number of chosen) if (!numbers.has(number)) chosen.delete(number);
  tell();
}

function choose(box, wanted) {
  box.checked = wanted;
  if (wanted) chosen.add(box.value);
  else chosen.delete(box.value);
  tell();
}

function chooseAll(wanted) {
  for (const box of boxes()) choose(box, wanted);
}

const focusedRow = () => document.activeElement?.closest("#incidents .rows > li");

/** A key for one row: when several are chosen, the buttons of form#bulk take it before this. */
function answer(key) {
  const row = focusedRow();
  const button = row?.querySelector(`[data-row-action="${key}"]`);
  if (button?.ariaBusy === "true") return; // pressed twice
  if (button) button.click();
  else toast({ title: row ? "This one needs no such answer" : "Go to a row first: J and K", tone: "info", timeout: 4000 });
}

function toggle() {
  const box = focusedRow()?.querySelector("input[name=number]");
  if (box) choose(box, !box.checked);
}

function onClick({ target }) {
  const { choose: what } = target.closest("[data-choose]")?.dataset ?? {};
  if (what) chooseAll(what === "all");
  if (target.closest("[data-list-again]")) list().dispatchEvent(new CustomEvent("live-refresh"));
}

function showFailed(isFailed) {
  document.getElementById("list-failed").hidden = !isFailed;
}

const concernsList = ({ detail }) => detail.target?.id === "incidents" || detail.elt?.id === "incidents";

if (bulk) {
  document.addEventListener("change", ({ target }) => target.matches("#incidents input[name=number]") && choose(target, target.checked));
  document.addEventListener("htmx:afterSwap", restore);
  document.addEventListener("choice-done", () => chooseAll(false));
  register({ keys: "a", label: "Acknowledge the row", run: () => answer("a") });
  register({ keys: "r", label: "Resolve the row", run: () => answer("r") });
  register({ keys: "x", label: "Choose the row, or not", run: toggle });
  // A browser may restore what was checked.
  for (const box of boxes()) if (box.checked) chosen.add(box.value);
  tell();
}
document.addEventListener("click", onClick);
for (const failed of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(failed, (event) => concernsList(event) && showFailed(true));
}
document.addEventListener("htmx:afterSwap", (event) => concernsList(event) && showFailed(false));
