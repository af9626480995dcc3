// @ts-check
// <sz-events>: what happens in the workspace, live. One stream per browser however many tabs: the tab that holds the lock
// reads it and tells the others. Closed when the page is hidden, so that it may go to the back/forward cache.

import { all } from "./sync.js";

const TYPES = [
  "account.connected", "account.reconnected", "account.updated", "account.health_changed", "account.token_refreshed",
  "account.refresh_attempt_failed", "account.reconnect_required", "account.expired", "account.expiring_soon",
  "account.disconnected", "check.started", "check.completed", "connect_session.updated", "entitlements.changed",
  "platform.status_changed", "notification.created", "sync.required", "stream.closed",
];

class Events extends HTMLElement {
  connectedCallback() {
    this.start();
    addEventListener("pagehide", () => this.stop());
    addEventListener("pageshow", (event) => {
      if (!event.persisted) return;
      this.start();
      all();
    });
  }

  start() {
    const name = `sz-events:${this.dataset.workspace}`;
    this.channel = new BroadcastChannel(name);
    this.channel.onmessage = (message) => this.deliver(message.data);
    this.ended = new AbortController();
    if (!navigator.locks) return this.lead();
    navigator.locks.request(name, { signal: this.ended.signal }, () => this.lead()).catch(() => {});
  }

  stop() {
    this.ended?.abort();
    this.source?.close();
    this.release?.();
    this.channel?.close();
  }

  /** Reads the stream until this page goes away. */
  lead() {
    if (this.ended?.signal.aborted) return;
    const source = new EventSource(`/api/v1/workspaces/${this.dataset.workspace}/events`);
    this.source = source;
    let opened = 0;
    source.onopen = () => {
      document.dispatchEvent(new CustomEvent("sz:online"));
      // What happened between the page and the stream; a later gap is told by `sync.required`.
      if (opened++ === 0) this.tell({ type: "sync.required", id: null });
    };
    source.onerror = () => document.dispatchEvent(new CustomEvent("sz:offline"));
    for (const type of TYPES) {
      source.addEventListener(type, (event) => this.tell(JSON.parse(/** @type {MessageEvent} */ (event).data)));
    }
    return new Promise((resolve) => (this.release = () => resolve(undefined)));
  }

  /** @param {any} event */
  tell(event) {
    this.channel?.postMessage(event);
    this.deliver(event);
  }

  /** @param {any} event */
  deliver(event) {
    // Signed out, or somebody else in here now: what is shown is not theirs any more.
    if (event.type === "stream.closed" && event.data.reason !== "unavailable") return location.reload();
    document.dispatchEvent(new CustomEvent("sz:event", { detail: event }));
  }
}

customElements.define("sz-events", Events);
