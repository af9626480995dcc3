// @ts-check
// What every page loads. Everything works without it; this makes it live: dialogs in place, events, pop-up sign-in.

import "./offline.js";
import "./sz-sheet.js";
import "./sz-toasts.js";
import "./sz-oauth.js";
import "./sz-events.js";
import "./sz-pull-refresh.js";
import "./sz-tour.js";
import { all, take } from "./sync.js";
import { failed, well } from "./trouble.js";

/** The server shows dates in the person's time zone; without a chosen one, in the browser's. */
function timezone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const known = document.documentElement.dataset.timezone;
  if (!zone || !known || zone === known || document.cookie.includes(`sz-timezone=${zone}`)) return;
  document.cookie = `sz-timezone=${zone}; path=/; max-age=31536000; samesite=lax`;
  all();
}

/** Ages grow while they are looked at; the words are the server's. */
function ages() {
  const lang = document.documentElement.lang === "ar" ? "ar-u-nu-latn" : "en";
  const short = new Intl.RelativeTimeFormat(lang, { style: lang === "en" ? "short" : "long" });
  const long = new Intl.RelativeTimeFormat(lang, { style: "long" });
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const minutes = Math.floor((Date.now() - Date.parse(time.getAttribute("datetime") || "")) / 60_000);
    if (minutes < 1) continue;
    const text = minutes < 60 ? short.format(-minutes, "minute")
      : minutes < 1440 ? long.format(-Math.floor(minutes / 60), "hour")
      : long.format(-Math.floor(minutes / 1440), "day");
    const shown = text.replace("min.", "min");
    if (time.textContent !== shown) time.textContent = shown;
  }
}

/** Menus close when one looks elsewhere. @param {Event} event */
function menus(event) {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    const inside = menu.contains(/** @type {Node} */ (event.target));
    const escaped = event instanceof KeyboardEvent && event.key === "Escape";
    if (event instanceof KeyboardEvent ? !escaped : inside) continue;
    menu.removeAttribute("open");
    if (escaped && inside) menu.querySelector("summary")?.focus();
  }
}

/** Searches while one types. */
function search() {
  let timer = 0;
  document.addEventListener("input", (event) => {
    const form = /** @type {Element} */ (event.target).closest("form[data-search]");
    if (!(form instanceof HTMLFormElement)) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      const query = new URLSearchParams(/** @type {any} */ (new FormData(form)));
      if (!query.get("q")) query.delete("q");
      const url = `/connections${query.size ? `?${query}` : ""}`;
      history.replaceState(history.state, "", url);
      const find = () => take(url).then(() => well("list"), (error) => failed("list", error, find));
      find();
    }, 200);
  });
}

/** Copies a prepared message. */
function copies() {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    if (!(button instanceof HTMLElement) || !navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const field = /** @type {HTMLTextAreaElement} */ (document.getElementById(button.dataset.copy || ""));
      await navigator.clipboard.writeText(field.value);
      button.textContent = button.dataset.copied || "";
    });
  }
}

/** Back from a platform in a window: tells the page that waits, and closes. */
function returned() {
  const session = document.getElementById("content")?.dataset.returned;
  if (!session) return;
  new BroadcastChannel("sz-oauth").postMessage({ session });
  setTimeout(() => window.close(), 300);
}

timezone();
ages();
setInterval(ages, 30_000);
document.addEventListener("click", menus);
document.addEventListener("keydown", menus);
search();
copies();
returned();
