// @ts-check
// <sz-pull-refresh>: pulling the page down from its top does what the Refresh button does: asks for a check of all accounts.

import { element, read } from "./dom.js";
import { apply, checking } from "./sync.js";
import { failed, well } from "./trouble.js";

const PULL_PX = 72;

class PullRefresh extends HTMLElement {
  connectedCallback() {
    this.form = /** @type {HTMLFormElement | null} */ (document.querySelector("form[data-refresh]"));
    this.form?.addEventListener("submit", (event) => {
      if (event.defaultPrevented) return;
      event.preventDefault();
      this.refresh();
    });
    document.addEventListener("sz:event", (event) => {
      if (/** @type {CustomEvent} */ (event).detail.type === "check.completed") this.checked();
    });
    let start = -1;
    let far = false;
    addEventListener("touchstart", (event) => {
      const busy = document.querySelector("dialog:modal, [data-menu][open]");
      start = scrollY <= 0 && !busy && event.touches.length === 1 ? event.touches[0].clientY : -1;
    }, { passive: true });
    addEventListener("touchmove", (event) => {
      if (start < 0) return;
      const moved = event.touches[0].clientY - start;
      far = moved > PULL_PX;
      if (moved > 12) this.tell((far ? this.form?.dataset.release : this.form?.dataset.pull) || "");
      else this.tell("");
    }, { passive: true });
    addEventListener("touchend", () => {
      if (start >= 0 && far) this.refresh();
      else this.tell("");
      start = -1;
      far = false;
    });
  }

  async refresh() {
    const form = this.form;
    const button = form?.querySelector("button");
    if (!form || this.busy || button?.getAttribute("aria-disabled") === "true") return this.tell("");
    this.busy = this.asked = true;
    button?.setAttribute("aria-busy", "true");
    checking(true);
    this.tell(form.dataset.checking || "");
    try {
      const fresh = await read(form.action, { method: "POST", body: new URLSearchParams() });
      for (const what of ["check", "list"]) well(what);
      apply(fresh, { notes: true });
      this.note = document.querySelector("#notes > .note:not([data-trouble])");
      if (!this.asked) this.checked();
      setTimeout(() => checking(false), 10_000);
    } catch (error) {
      checking(false);
      failed("check", error, () => this.refresh());
    }
    this.tell("");
    button?.removeAttribute("aria-busy");
    this.busy = false;
  }

  /** The check is over; that it began is no news any more. */
  checked() {
    this.asked = false;
    this.note?.remove();
    this.note = null;
  }

  /** @param {string} text */
  tell(text) {
    this.replaceChildren(...(text ? [element("div", { class: "pull", role: "status" }, element("span", {}, text))] : []));
  }
}

customElements.define("sz-pull-refresh", PullRefresh);
