/** The server's time. A countdown to a page must be right on a laptop whose clock is minutes off. */

// HTTP dates have whole seconds and the network takes its share: less than this is no difference.
const TOLERANCE_MS = 3000;

let offset = 0;

/** Milliseconds since the epoch, by the server's clock. */
export const now = () => Date.now() + offset;

/** Take note that the server's clock said `serverTime` (anything Date.parse reads) at local time `at`. */
export function learn(serverTime, at = Date.now()) {
  const difference = Date.parse(serverTime) - at;
  if (Number.isFinite(difference)) offset = Math.abs(difference) > TOLERANCE_MS ? difference : 0;
}

/** Learn from <meta name="server-time">, unless the page came out of a cache and tells an old time. */
export function start() {
  const meta = document.querySelector("meta[name=server-time]");
  const [navigation] = performance.getEntriesByType("navigation");
  if (document.documentElement.dataset.saved) return;
  if (!meta || !navigation?.transferSize || navigation.type === "back_forward") return;
  learn(meta.content, performance.timeOrigin + navigation.responseStart);
}
