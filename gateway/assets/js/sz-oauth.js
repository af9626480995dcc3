// @ts-check
// <sz-oauth>: connecting and reconnecting in a window of its own. The window is opened in the click itself, before anything
// is awaited; where the browser blocks it, or on a phone, the plain form goes on in this tab. What became of the session is
// told by the window, by the live events and by asking: any of them counts, a closed window is only a hint.

import { api, element, read, Refused } from "./dom.js";
import { touch } from "./sync.js";

const OVER = new Set(["completed", "failed", "cancelled", "expired"]);
const POLL_MS = 2000;
const BLOCKED = "sz-blocked";

class OAuth extends HTMLElement {
  connectedCallback() {
    document.addEventListener("submit", (event) => this.submit(event));
    document.addEventListener("sz:event", (event) => {
      const { type, data } = /** @type {CustomEvent} */ (event).detail;
      if (type === "connect_session.updated" && data?.session_id === this.session?.id) this.poll();
    });
    addEventListener("focus", () => this.session && this.poll());
    this.wasBlocked();
  }

  /** @param {SubmitEvent} event */
  submit(event) {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (!form.matches("[data-oauth]") || event.defaultPrevented || form.dataset.direct) return;
    if (matchMedia("(max-width: 47.99rem), (pointer: coarse)").matches) return;
    event.preventDefault();
    const popup = open("about:blank", "sz-oauth", "popup,width=620,height=760");
    if (!popup) return this.sameTab(form);
    this.begin(form, popup);
  }

  /** @param {HTMLFormElement} form */
  sameTab(form) {
    this.note(form, this.dataset.blocked || "");
    sessionStorage.setItem(BLOCKED, "1");
    form.dataset.direct = "1";
    setTimeout(() => form.requestSubmit(), 1200);
  }

  /** Tells once more after the way through this tab. */
  wasBlocked() {
    const notes = document.getElementById("notes");
    if (!notes || !sessionStorage.getItem(BLOCKED)) return;
    sessionStorage.removeItem(BLOCKED);
    const close = element("button", { class: "btn quiet", type: "button", click: () => box.remove() }, this.dataset.dismiss || "");
    const box = element("div", { class: "note plain", "data-added": true }, element("div", { class: "body" }, element("p", {}, this.dataset.blocked || "")), close);
    notes.append(box);
  }

  /** @param {HTMLFormElement} form @param {Window} popup */
  async begin(form, popup) {
    const data = form.dataset;
    const workspace = this.dataset.workspace;
    this.form = form;
    this.popup = popup;
    const waiting = (this.dataset.waiting || "").replace("#", data.name || data.platform || "");
    this.note(form, waiting, [this.dataset.cancel, () => this.cancel()]);
    try {
      const method = new FormData(form).get("method");
      this.session = await api("POST", `/workspaces/${workspace}/connect-sessions`, {
        intent: data.intent, platform: data.platform, account_ids: data.accounts ? data.accounts.split(",") : [],
        channel: "popup", return_to: "connections", ...(method ? { method } : {}),
      });
      this.listen();
      popup.location.href = this.session.authorize_url;
      this.note(form, waiting, [this.dataset.open, () => this.reopen()], [this.dataset.cancel, () => this.cancel()]);
      this.watch();
    } catch (error) {
      popup.close();
      this.session = undefined;
      this.refused(form, error);
    }
  }

  /** Hears from the window. Open only while one waits, so that the page may go to the back/forward cache. */
  listen() {
    this.channel?.close();
    this.channel = new BroadcastChannel("sz-oauth");
    this.channel.onmessage = (event) => {
      if (event.data?.session === this.session?.id) this.poll();
    };
  }

  reopen() {
    if (this.popup && !this.popup.closed) return this.popup.focus();
    const popup = open(this.session?.authorize_url, "sz-oauth", "popup,width=620,height=760");
    if (popup) this.popup = popup;
  }

  /** Asks while the window is open, and once more after it closed. */
  watch() {
    clearTimeout(this.timer);
    const closed = this.popup?.closed;
    this.timer = setTimeout(async () => {
      await this.poll();
      if (!this.session) return;
      if (!closed) return this.watch();
      const again = () => this.form?.requestSubmit();
      this.note(this.form, this.dataset.still || "", [this.dataset.again, again], [this.dataset.closed, () => this.cancel()]);
    }, POLL_MS);
  }

  async poll() {
    const id = this.session?.id;
    if (!id) return;
    const found = await api("GET", `/workspaces/${this.dataset.workspace}/connect-sessions/${id}`).catch(() => null);
    if (found && OVER.has(found.status) && this.session?.id === id) this.over(found);
  }

  /** @param {any} found */
  async over(found) {
    clearTimeout(this.timer);
    this.session = undefined;
    if (this.popup && !this.popup.closed) this.popup.close();
    for (const account of found.result?.accounts || []) touch(account.id);
    touch();
    this.clear();
    const note = await read(`/ui/sessions/${found.id}`).catch(() => null);
    const fresh = note?.querySelector("[data-note]");
    if (fresh) document.getElementById("notes")?.replaceChildren(fresh);
    const dialog = this.form?.closest("dialog");
    if (dialog?.id === "ask") dialog.close();
  }

  async cancel() {
    clearTimeout(this.timer);
    const id = this.session?.id;
    this.session = undefined;
    this.popup?.close();
    this.clear();
    this.form?.querySelector("button")?.focus();
    if (id) await api("DELETE", `/workspaces/${this.dataset.workspace}/connect-sessions/${id}`).catch(() => {});
  }

  /** @param {HTMLFormElement} form @param {unknown} error */
  refused(form, error) {
    const problem = error instanceof Refused ? error.problem : null;
    const text = [problem?.detail || this.dataset.network, problem?.request_id].filter(Boolean).join(" · ");
    this.note(form, text, [this.dataset.again, () => form.requestSubmit()]);
  }

  /**
   * Says how it goes, beside what was pressed.
   * @param {HTMLFormElement | undefined} form @param {string} text @param {...[string | undefined, () => void]} buttons
   */
  note(form, text, ...buttons) {
    this.clear();
    if (!form) return;
    const made = buttons.map(([label, act]) => element("button", { class: "btn", type: "button", click: act }, label || ""));
    this.box = element("div", { class: "oauth", role: "status", "data-added": true }, element("p", {}, text), ...made);
    const toast = form.closest(".toast");
    const scope = form.closest(".card, .tile, .panel > footer, .question, .banner, .rows > li");
    if (scope) scope.append(this.box);
    else (toast || form).after(this.box);
  }

  clear() {
    this.box?.remove();
    if (!this.session) this.channel?.close();
  }
}

customElements.define("sz-oauth", OAuth);
