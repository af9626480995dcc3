// @ts-check
// <sz-toasts>: short messages of live events, one per event. Good news leaves by itself after eight seconds unless somebody
// looks at it; what needs a person stays until dismissed. All of it is on the notifications page as well.

import { element, icon } from "./dom.js";

const STAYS_MS = 8000;
const MOST = 4;

class Toasts extends HTMLElement {
  connectedCallback() {
    /** @type {Set<number>} */
    this.seen = new Set();
    /** Stands in an open dialog at times: what is behind one cannot be reached. */
    this.region = /** @type {HTMLElement} */ (document.querySelector(".toasts[role=region]"));
    document.addEventListener("sz:event", (event) => this.take(/** @type {CustomEvent} */ (event).detail));
    addEventListener("keydown", (event) => {
      const button = event.key === "F6" && this.region?.querySelector("button, a");
      if (!(button instanceof HTMLElement)) return;
      event.preventDefault();
      button.focus();
    });
  }

  /** @param {any} event */
  take(event) {
    if (!event.toast || this.seen?.has(event.id)) return;
    this.seen?.add(event.id);
    this.show(event.toast, event.account);
  }

  /** @param {any} toast @param {any} account */
  show(toast, account) {
    const urgent = toast.urgency !== "polite";
    const dot = element("span", { class: `dot ${urgent ? "amber" : "green"}`, "aria-hidden": "true" }, icon(urgent ? "bang" : "check"));
    const close = element("button", { class: "btn quiet icon-only", type: "button", "aria-label": this.dataset.dismiss }, icon("close"));
    const box = element("div", { class: "toast" }, dot, element("p", { dir: "auto" }, toast.text), ...(urgent ? this.remedy(account) : []), close);
    close.addEventListener("click", () => this.dismiss(box));
    const list = this.region?.querySelector(urgent ? "[data-alert]" : "[data-polite]");
    list?.append(box);
    if (list && list.childElementCount > MOST) list.firstElementChild?.remove();
    if (!urgent) this.leave(box);
  }

  /** The button that helps, if this reader has one. @param {any} account @returns {HTMLElement[]} */
  remedy(account) {
    const may = (/** @type {string} */ action) => account?.permitted_actions?.includes(action);
    const about = element("span", { class: "sr" }, ` ${account?.display_name || ""}`);
    if (may("reconnect")) {
      const button = element("button", { class: "btn" }, this.dataset.reconnect || "", about);
      return [element("form", {
        method: "post", action: `/connections/${account.id}/reconnect`, "data-oauth": true, "data-intent": "reconnect",
        "data-platform": account.platform, "data-accounts": account.id,
      }, button)];
    }
    if (may("request_reconnect")) {
      return [element("form", { method: "post", action: `/connections/${account.id}/ask` }, element("button", { class: "btn" }, this.dataset.ask || "", about))];
    }
    return [];
  }

  /** @param {HTMLElement} box */
  leave(box) {
    let timer = setTimeout(() => box.remove(), STAYS_MS);
    const pause = () => clearTimeout(timer);
    const resume = () => {
      clearTimeout(timer);
      timer = setTimeout(() => box.remove(), STAYS_MS);
    };
    // Nobody has read it in a tab that is not looked at.
    if (document.hidden) {
      pause();
      document.addEventListener("visibilitychange", resume, { once: true });
    }
    box.addEventListener("pointerenter", pause);
    box.addEventListener("focusin", pause);
    box.addEventListener("pointerleave", resume);
    box.addEventListener("focusout", resume);
  }

  /** @param {HTMLElement} box */
  dismiss(box) {
    const next = box.nextElementSibling || box.previousElementSibling;
    const held = box.contains(document.activeElement);
    box.remove();
    const button = held && next?.querySelector("button");
    if (button instanceof HTMLElement) button.focus();
  }
}

customElements.define("sz-toasts", Toasts);
