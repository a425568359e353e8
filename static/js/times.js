/** Times that stay true while the page is open.
 *
 * <time datetime data-relative>   “3 min ago”, with the full local time as its title
 * <time datetime data-local>      “23 Nov, 17:04” in the time zone of <body data-time-zone>
 * <time datetime data-countdown>  “0:42”, then “now”
 */

import { now } from "./clock.js";

const LOCALE = "en-GB";
const full = format({ dateStyle: "full", timeStyle: "long" });
const short = format({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const day = format({ day: "numeric", month: "short", year: "numeric" });
const relative = new Intl.RelativeTimeFormat("en", { style: "short", numeric: "always" });

const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
const RELATIVE_FOR_DAYS = 14;
const REFRESH_RELATIVE_MS = 10_000;

/** In the person's own time zone, as the server writes times too; in the browser's when it does not know that one. */
function format(options) {
  const { timeZone } = document.body.dataset;
  try {
    return new Intl.DateTimeFormat(LOCALE, { ...options, timeZone });
  } catch {
    return new Intl.DateTimeFormat(LOCALE, options);
  }
}

/** “just now”, “3 min ago”, “in 2 hr”; a date when it is more than two weeks away. */
export function relativeText(instant, at = now()) {
  const seconds = (instant - at) / 1000;
  const distance = Math.abs(seconds);
  if (distance < 45) return seconds > 10 ? "in a moment" : "just now";
  if (distance > RELATIVE_FOR_DAYS * 86_400) return day.format(instant);
  const [unit, size] = UNITS.find(([, size]) => distance >= size) ?? UNITS.at(-1);
  const count = Math.max(1, Math.floor(distance / size));
  return relative.format(Math.sign(seconds) * count, unit).replace(".", "");
}

/** “0:42”, “1:02:03”, “2 d 3 h”, “now”. */
export function countdownText(instant, at = now()) {
  const seconds = Math.ceil((instant - at) / 1000);
  if (seconds <= 0) return "now";
  const [d, h, m] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3_600) % 24, Math.floor(seconds / 60) % 60];
  const two = (number) => String(number).padStart(2, "0");
  if (d) return `${d} d ${h} h`;
  return h ? `${h}:${two(m)}:${two(seconds % 60)}` : `${m}:${two(seconds % 60)}`;
}

function write(selector, text) {
  for (const element of document.querySelectorAll(selector)) {
    const instant = Date.parse(element.dateTime);
    if (Number.isNaN(instant)) continue;
    const wanted = text(instant);
    if (element.textContent !== wanted) element.textContent = wanted;
    element.title ||= full.format(instant);
  }
}

const writeRelative = () => write("time[data-relative]", (instant) => relativeText(instant));
const writeCountdowns = () => write("time[data-countdown]", (instant) => countdownText(instant));

export function upgrade() {
  write("time[data-local]", (instant) => short.format(instant));
  writeRelative();
  writeCountdowns();
}

export function start() {
  upgrade();
  setInterval(writeRelative, REFRESH_RELATIVE_MS);
  setInterval(writeCountdowns, 500);
  document.addEventListener("htmx:load", upgrade);
  document.addEventListener("visibilitychange", upgrade);
}
