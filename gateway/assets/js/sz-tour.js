// @ts-check
// <sz-tour>: four short steps on a first visit, beside what they speak of. Finished or skipped, it does not come back.

import { api, element } from "./dom.js";

class Tour extends HTMLElement {
  connectedCallback() {
    this.steps = [...this.querySelectorAll("template")];
    this.step(0);
  }

  /** @param {number} index */
  step(index) {
    this.leave();
    const step = this.steps?.[index];
    if (!step) return this.end("completed");
    const target = document.querySelector(step.dataset.target || "");
    if (!(target instanceof HTMLElement)) return this.step(index + 1);
    target.classList.add("toured");
    this.target = target;
    const box = element("div", { class: "tour", role: "dialog", "aria-labelledby": "tour-title", tabindex: "-1" });
    box.append(step.content.cloneNode(true));
    box.querySelector("h2").id = "tour-title";
    box.querySelector("[data-next]").addEventListener("click", () => this.step(index + 1));
    box.querySelector("[data-skip]")?.addEventListener("click", () => this.end("dismissed"));
    box.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && this.end("dismissed"));
    document.body.append(box);
    this.box = box;
    this.place(target, box);
    if (index > 0) box.querySelector("[data-next]").focus();
    else box.focus({ preventScroll: true });
  }

  /** Below the target where there is room, else over its end. @param {HTMLElement} target @param {HTMLElement} box */
  place(target, box) {
    target.scrollIntoView({ block: "nearest" });
    const at = target.getBoundingClientRect();
    const room = document.documentElement.clientWidth - box.offsetWidth - 16;
    const left = Math.max(16, Math.min(document.dir === "rtl" ? at.right - box.offsetWidth : at.left, room));
    const below = at.bottom + 12;
    const fits = below + box.offsetHeight < innerHeight;
    const top = fits ? below : Math.max(16, Math.min(at.top + 16, innerHeight - box.offsetHeight - 96));
    box.style.left = `${left + scrollX}px`;
    box.style.top = `${top + scrollY}px`;
  }

  leave() {
    this.target?.classList.remove("toured");
    this.box?.remove();
  }

  /** @param {"completed" | "dismissed"} status */
  end(status) {
    const held = this.box?.contains(document.activeElement);
    this.leave();
    this.remove();
    if (held) document.getElementById("accounts")?.focus({ preventScroll: true });
    api("PUT", "/me/tours/connections", { status }).catch(() => {});
  }
}

customElements.define("sz-tour", Tour);
