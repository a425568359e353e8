/** The editor of a postmortem: it saves as somebody types, and loses nothing.
 *
 * What is typed is kept in this browser at once, and taken out of there only when the server has it. A save names the
 * version that it began with; when somebody else has saved meanwhile, both texts are shown and the person decides.
 */

import { csrfToken } from "./requests.js";

const SAVE_AFTER_MS = 1200;
const AGAIN_AFTER_MS = 5000;
const PREVIEW_AFTER_MS = 500;

const form = document.querySelector("[data-postmortem]");

function start() {
  const text = form.elements.namedItem("body");
  const version = form.elements.namedItem("version");
  const said = form.querySelector("[data-save-state]");
  const conflict = form.querySelector("[data-conflict]");
  const draftBox = form.querySelector("[data-draft]");
  const preview = form.querySelector("[data-preview]");
  const key = `postmortem-${form.dataset.postmortem}`;

  let saved = text.value;
  let saving = null;
  let timer;
  let previewTimer;
  let theirs = null;
  let isLost = false;

  const isDirty = () => text.value !== saved;

  function keep() {
    try {
      if (isDirty()) localStorage.setItem(key, JSON.stringify({ body: text.value, version: version.value }));
      else localStorage.removeItem(key);
    } catch {
      // Then the page keeps it, and asks before it is left.
    }
  }

  function kept() {
    try {
      return JSON.parse(localStorage.getItem(key));
    } catch {
      return null;
    }
  }

  function later(ms) {
    clearTimeout(timer);
    timer = setTimeout(save, ms);
  }

  /** Resolves to whether the server has the text as it is now. One save at a time. */
  async function save() {
    clearTimeout(timer);
    if (saving) await saving;
    if (!isDirty()) return true;
    if (theirs) return false;
    saving = send(text.value);
    try {
      return await saving;
    } finally {
      saving = null;
      keep();
    }
  }

  async function send(body) {
    said.textContent = "Saving…";
    try {
      const answer = await fetch(form.action, {
        method: "POST",
        headers: { Accept: "application/json", "X-CSRFToken": csrfToken() },
        body: new URLSearchParams({ body, version: version.value }),
      });
      const isJson = answer.headers.get("Content-Type")?.includes("application/json");
      if (!isJson) throw new Error("no answer of ours");
      const told = await answer.json();
      if (answer.ok) {
        saved = body;
        version.value = told.version;
        isLost = false;
        for (const place of document.querySelectorAll("[data-version-shown]")) place.textContent = told.version;
        said.textContent = isDirty() ? "Saving…" : "Saved";
        if (isDirty()) later(SAVE_AFTER_MS);
        return true;
      }
      if (told.code === "postmortem_changed") tellConflict(told);
      else said.textContent = told.detail ?? "The server refused it.";
    } catch {
      isLost = true;
      said.textContent = "Not saved: no connection. This browser keeps your text.";
      later(AGAIN_AFTER_MS);
    }
    return false;
  }

  function tellConflict(told) {
    theirs = told;
    conflict.hidden = false;
    conflict.querySelector("[data-conflict-words]").textContent = told.detail;
    conflict.querySelector("[data-theirs]").textContent = told.body;
    said.textContent = "Not saved";
    conflict.scrollIntoView({ block: "center" });
  }

  function decide(what) {
    const other = theirs;
    theirs = null;
    conflict.hidden = true;
    version.value = other.version;
    saved = other.body;
    if (what === "theirs") text.value = other.body;
    showPreview();
    save();
  }

  async function showPreview() {
    try {
      const answer = await fetch(form.dataset.previewUrl, {
        method: "POST",
        headers: { "X-CSRFToken": csrfToken() },
        body: new URLSearchParams({ body: text.value }),
      });
      if (answer.ok && !answer.redirected) preview.innerHTML = await answer.text();
    } catch {
      // It shows what it showed.
    }
  }

  text.addEventListener("input", () => {
    keep();
    if (!theirs) later(isLost ? AGAIN_AFTER_MS : SAVE_AFTER_MS);
    if (!theirs && !isLost) said.textContent = "";
    clearTimeout(previewTimer);
    previewTimer = setTimeout(showPreview, PREVIEW_AFTER_MS);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save();
  });
  form.addEventListener("click", ({ target }) => {
    const { take } = target.closest("[data-take]")?.dataset ?? {};
    if (take) decide(take);
    if (target.closest("[data-draft-take]")) {
      text.value = kept()?.body ?? text.value;
      draftBox.hidden = true;
      showPreview();
      save();
    }
    if (target.closest("[data-draft-drop]")) {
      localStorage.removeItem(key);
      draftBox.hidden = true;
    }
  });
  window.addEventListener("online", save);
  document.addEventListener("visibilitychange", () => document.hidden && save());
  window.addEventListener("beforeunload", (event) => {
    keep();
    if (isDirty()) event.preventDefault();
  });

  // What leads away saves first: it would ask, or go on without what was just typed.
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("[data-import]");
    if (!link) return;
    event.preventDefault();
    if (await save()) location.assign(link.href);
  });
  document.addEventListener("submit", async (event) => {
    if (!event.target.matches("[data-after-save]") || !isDirty()) return;
    event.preventDefault();
    const { target, submitter } = event;
    if (await save()) target.requestSubmit(submitter);
  });

  const draft = kept();
  if (draft && draft.body !== text.value) draftBox.hidden = false;
  else if (draft) keep();  // only then: what another page has just written may not be seen here yet
}

if (form) start();
