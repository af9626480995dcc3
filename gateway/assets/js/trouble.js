// @ts-check
// When the server fails, what is shown stays. Beside it stands what happened, the id to name to support, and another try.

import { element, icon, Refused } from "./dom.js";

/**
 * Says so until the same succeeds or is tried again; what else succeeds meanwhile takes nothing back.
 * @param {string} what @param {unknown} error @param {() => unknown} again
 */
export function failed(what, error, again) {
  // Without network the banner tells, and everything comes back by itself.
  if (!navigator.onLine) return;
  well(what);
  const words = /** @type {HTMLElement} */ (document.querySelector("sz-sheet")).dataset;
  const id = error instanceof Refused ? error.requestId : "";
  const retry = () => {
    well(what);
    again();
  };
  const note = element("div", { class: "note bad", role: "alert", "data-added": true, "data-trouble": what }, icon("info"),
    element("div", { class: "body" }, element("p", { class: "strong" }, words.failed || ""),
      ...(id ? [element("p", { class: "small" }, `${words.requestId} `, element("code", {}, id))] : [])),
    element("button", { class: "btn", type: "button", click: retry }, words.again || ""));
  const places = ["#ask:modal .question", "#panel:modal .content", "#notes", ".page"];
  places.map((css) => document.querySelector(css)).find(Boolean)?.prepend(note);
}

/** That works again. @param {string} what */
export function well(what) {
  for (const note of document.querySelectorAll(`[data-trouble="${what}"]`)) note.remove();
}
