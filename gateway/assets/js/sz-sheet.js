// @ts-check
// <sz-sheet>: details of an account beside the list (a bottom sheet on a phone) and questions, as modal dialogs. Both are
// pages of their own underneath; here they are fetched and shown in place. Back, Esc, ✕, the backdrop and a swipe close.

import { element, read, Refused } from "./dom.js";
import { morph } from "./morph.js";
import { all, apply } from "./sync.js";
import { failed, well } from "./trouble.js";

const SWIPE_PX = 80;

class Sheet extends HTMLElement {
  connectedCallback() {
    this.panel = /** @type {HTMLDialogElement} */ (this.querySelector("#panel"));
    this.ask = /** @type {HTMLDialogElement} */ (this.querySelector("#ask"));
    document.addEventListener("click", (event) => this.click(event));
    document.addEventListener("submit", (event) => this.submit(event));
    document.addEventListener("sz:event", (event) => this.refresh(/** @type {CustomEvent} */ (event).detail));
    addEventListener("popstate", () => this.follow());
    for (const dialog of [this.panel, this.ask]) {
      dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
      dialog.addEventListener("close", () => this.closed(dialog));
      swipe(dialog);
    }
    if (this.panel.open) {
      // Without this script the panel is shown beside the list; with it, it is modal.
      this.panel.removeAttribute("open");
      this.shown(new URL(location.href).searchParams.get("account") || "");
    }
  }

  /** @param {MouseEvent} event */
  click(event) {
    const target = /** @type {Element} */ (event.target);
    const link = target.closest?.("a");
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!link || !plain || event.defaultPrevented || link.getAttribute("aria-disabled") === "true") return;
    const dialog = link.closest("dialog");
    if (link.hasAttribute("data-close") && dialog?.open) {
      event.preventDefault();
      dialog.close();
    } else if (link.dataset.panel && this.panel) {
      event.preventDefault();
      this.opener = link;
      this.open(link.dataset.panel, link.href);
    } else if (link.hasAttribute("data-dialog")) {
      event.preventDefault();
      this.asker = link;
      this.question(link.href);
    }
  }

  /** @param {string} id @param {string} href */
  async open(id, href) {
    const fresh = await this.fetched(`/ui/accounts/${id}/panel`, href, () => this.open(id, href));
    if (!fresh) return;
    this.fill(this.panel, ...fresh.body.childNodes);
    const url = new URL(location.href);
    url.searchParams.set("account", id);
    if (location.href !== url.href) history.pushState({ account: id, pushed: true }, "", url);
    this.shown(id);
  }

  /** @param {string} id */
  shown(id) {
    if (!this.panel || !this.panel.querySelector("#p-title")) return;
    this.account = id;
    this.panel.showModal();
    this.lift(this.panel);
    heading(this.panel)?.focus();
    for (const part of this.panel.querySelectorAll("[data-lazy]")) lazy(/** @type {HTMLElement} */ (part));
  }

  /** @param {string} href */
  async question(href) {
    const fresh = await this.fetched(href, href, () => this.question(href));
    if (!fresh) return;
    const body = fresh.querySelector("[data-dialog-body]");
    if (!body || !this.ask) return location.assign(href);
    const old = body.querySelector("h1");
    old?.replaceWith(element("h2", { id: "ask-title", tabindex: "-1" }, ...old.childNodes));
    this.fill(this.ask, body);
    this.ask.showModal();
    this.lift(this.ask);
    heading(this.ask)?.focus();
  }

  /**
   * Part of a page to show in place. What is refused is told by the page itself; where the server fails, this page stays.
   * @param {string} url @param {string} page @param {() => unknown} again
   */
  async fetched(url, page, again) {
    try {
      const fresh = await read(url);
      well("details");
      return fresh;
    } catch (error) {
      if (error instanceof Refused && error.status < 500) location.assign(page);
      else failed("details", error, again);
      return null;
    }
  }

  /** A disconnect is confirmed here, and the list follows. @param {SubmitEvent} event */
  async submit(event) {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (!form.matches("dialog [data-disconnect]") || event.defaultPrevented) return;
    event.preventDefault();
    const button = form.querySelector("button");
    button?.setAttribute("aria-busy", "true");
    try {
      const fresh = await read(form.action, { method: "POST", body: new URLSearchParams() });
      well("disconnect");
      this.asker = this.opener = undefined;
      this.ask?.close();
      if (this.panel?.open) this.panel.close();
      apply(fresh, { notes: true });
      const group = document.querySelector("#accounts h2") || document.getElementById("accounts");
      if (group instanceof HTMLElement) group.focus();
    } catch (error) {
      failed("disconnect", error, () => form.requestSubmit());
    }
    button?.removeAttribute("aria-busy");
  }

  /** Keeps an open panel true. @param {any} event */
  async refresh(event) {
    if (!this.panel?.open || event.account_id !== this.account) return;
    if (event.type === "account.disconnected") return this.panel.close();
    const fresh = await read(`/ui/accounts/${this.account}/panel`).catch(() => null);
    if (!fresh || !this.panel.open) return;
    const wanted = element("dialog", {}, ...fresh.body.childNodes);
    for (const { name, value } of this.panel.attributes) wanted.setAttribute(name, value);
    morph(this.panel, wanted);
  }

  /** @param {HTMLDialogElement} dialog */
  closed(dialog) {
    this.lift(this.panel?.open ? this.panel : document.querySelector("sz-toasts"));
    if (dialog === this.ask) return back(this.asker);
    const opener = this.opener;
    if (history.state?.pushed && new URL(location.href).searchParams.has("account")) {
      // Going back to an address with a fragment moves the focus there.
      addEventListener("popstate", () => requestAnimationFrame(() => this.panel?.open || back(opener)), { once: true });
      history.back();
    } else history.replaceState(null, "", without("account"));
    this.account = undefined;
    back(this.opener);
    all();
  }

  /** Back and forward. */
  follow() {
    const id = new URL(location.href).searchParams.get("account");
    if (!id && this.panel?.open) {
      history.replaceState(null, "", location.href);
      this.panel.close();
    } else if (id && id !== this.account) {
      this.open(id, location.href);
    }
  }

  /** Toasts that stand in it are not part of what goes. @param {Element | undefined} dialog @param {...Node} nodes */
  fill(dialog, ...nodes) {
    const toasts = dialog?.querySelector(":scope > .toasts");
    dialog?.replaceChildren(...nodes, ...(toasts ? [toasts] : []));
  }

  /** Toasts stand in the topmost dialog: everything behind it is inert. @param {Element | null | undefined} to */
  lift(to) {
    const toasts = document.querySelector(".toasts[role=region]");
    if (to && toasts) to.append(toasts);
  }
}

/** @param {string} name */
function without(name) {
  const url = new URL(location.href);
  url.searchParams.delete(name);
  return url;
}

/** @param {Element} dialog @returns {HTMLElement | null} */
function heading(dialog) {
  return dialog.querySelector("[tabindex='-1']");
}

/** Focus goes back to what opened; if that is gone, to the list. @param {HTMLElement | undefined} opener */
function back(opener) {
  const to = opener?.isConnected ? opener : document.querySelector("#accounts h2");
  if (to instanceof HTMLElement) to.focus({ preventScroll: true });
}

/** Fetches what is slow, with bones of its size meanwhile. @param {HTMLElement} part */
async function lazy(part) {
  part.setAttribute("aria-busy", "true");
  part.setAttribute("data-keep", "");
  const said = element("span", { class: "sr" }, part.dataset.loading || "");
  part.replaceChildren(said, element("div", { class: "bones", "aria-hidden": "true" }, element("i"), element("i"), element("i")));
  try {
    part.replaceChildren(...(await read(part.dataset.lazy || "")).body.childNodes);
  } catch {
    part.replaceChildren(element("p", { class: "muted" }, part.dataset.failed || ""));
  }
  part.removeAttribute("aria-busy");
}

/** Drags a sheet down to close it. @param {HTMLDialogElement} dialog */
function swipe(dialog) {
  let start = -1;
  let moved = 0;
  dialog.addEventListener("touchstart", (event) => {
    const target = /** @type {Element} */ (event.target);
    const content = dialog.querySelector(".content");
    const held = target.closest("[data-drag], .grab") || (content?.contains(target) && content.scrollTop <= 0);
    start = held && matchMedia("(max-width: 47.99rem)").matches ? event.touches[0].clientY : -1;
    moved = 0;
  }, { passive: true });
  dialog.addEventListener("touchmove", (event) => {
    if (start < 0) return;
    moved = Math.max(0, event.touches[0].clientY - start);
    dialog.style.translate = `0 ${moved}px`;
  }, { passive: true });
  dialog.addEventListener("touchend", () => {
    dialog.style.translate = "";
    if (start >= 0 && moved > SWIPE_PX) dialog.close();
    start = -1;
  });
}

customElements.define("sz-sheet", Sheet);
