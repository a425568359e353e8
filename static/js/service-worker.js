/** Shows the pages that are pushed to this browser, and takes the answers to them (notifications.transports.web_push).
 *
 * An answer's address is signed and good for once: it needs no session, so a button works on a locked phone. */

const STAYING = new Set(["critical", "high"]);

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

function read(event) {
  try {
    return event.data.json();
  } catch {
    return { title: "OpenAlert", body: "There is news.", href: "/" };
  }
}

self.addEventListener("push", (event) => {
  const page = read(event);
  const answers = page.answers ?? {};
  const actions = Object.keys(answers).map((action) => ({ action, title: page.labels?.[action] ?? action }));
  event.waitUntil(
    self.registration.showNotification(page.title, {
      body: page.body,
      tag: page.tag,
      renotify: Boolean(page.tag),
      requireInteraction: STAYING.has(page.severity),
      icon: "/static/img/logo.svg",
      data: { href: page.href, answers, title: page.title },
      actions,
    }),
  );
});

/** Say what became of an answer, in the place of the page. */
async function answer(address, { href, title }, tag) {
  let words = "The server could not be reached: open the incident to answer it.";
  try {
    const given = await fetch(address, { method: "POST", headers: { Accept: "application/json" }, credentials: "omit" });
    words = (await given.json()).answer;
  } catch {
    // The words for it stand above.
  }
  await self.registration.showNotification(words, { body: title, tag, data: { href, answers: {}, title } });
}

async function open(href) {
  const target = new URL(href, self.location.origin);
  if (target.origin !== self.location.origin) return undefined;
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const there = windows.find((client) => new URL(client.url).pathname === target.pathname);
  return there ? there.focus() : self.clients.openWindow(target.href);
}

self.addEventListener("notificationclick", (event) => {
  const { notification, action } = event;
  notification.close();
  const address = notification.data?.answers?.[action];
  event.waitUntil(address ? answer(address, notification.data, notification.tag) : open(notification.data?.href ?? "/"));
});
