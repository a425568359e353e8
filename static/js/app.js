/** Starts what every page has. Each part is its own module and works on whatever the page contains. */

import * as clock from "./clock.js";
import * as copy from "./copy.js";
import * as dialogs from "./dialogs.js";
import * as fragments from "./fragments.js";
import * as menus from "./menus.js";
import * as offline from "./offline.js";
import * as requests from "./requests.js";
import * as shortcuts from "./shortcuts.js";
import * as theme from "./theme-choice.js";
import * as times from "./times.js";
import * as toasts from "./toast.js";

for (const part of [clock, times, theme, toasts, dialogs, menus, copy, requests, fragments, shortcuts, offline]) part.start();
