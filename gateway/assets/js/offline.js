// @ts-check
// Without network the page says from when its statuses are, and disables what needs the server, with the reason.

import { all, syncedAt } from "./sync.js";

const banner = document.getElementById("offline");
let isOffline = false;

function show() {
  if (!banner || isOffline) return;
  isOffline = true;
  const zone = document.documentElement.dataset.timezone || undefined;
  const at = new Date(syncedAt).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: zone });
  banner.textContent = (banner.dataset.text || "").replace("#", at);
  banner.hidden = false;
  mark();
}

function mark() {
  for (const one of document.querySelectorAll("[data-needs-network]")) {
    if (isOffline) {
      one.setAttribute("aria-disabled", "true");
      one.setAttribute("aria-describedby", "offline");
    } else if (one.getAttribute("aria-describedby") === "offline") {
      one.removeAttribute("aria-disabled");
      one.removeAttribute("aria-describedby");
    }
  }
}

function hide() {
  if (!isOffline || !banner) return;
  isOffline = false;
  banner.hidden = true;
  mark();
  all();
}

/** @param {Event} event */
function hold(event) {
  const target = /** @type {Element} */ (event.target);
  const held = event.type === "submit" ? target.querySelector("[data-needs-network]") : target.closest?.("[data-needs-network]");
  if (!isOffline || !held) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}

addEventListener("offline", show);
addEventListener("online", hide);
document.addEventListener("sz:offline", () => navigator.onLine || show());
// A stream that another page shares may be open while this one has no network.
document.addEventListener("sz:online", () => navigator.onLine && hide());
document.addEventListener("sz:synced", mark);
document.addEventListener("click", hold, true);
document.addEventListener("submit", hold, true);
if (!navigator.onLine) show();
