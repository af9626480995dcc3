// @ts-check
// <sz-events>: what happens in the workspace, live, from where this page was made. One stream per browser however many tabs:
// the tab that holds the lock reads it and tells the others. Closed when the page is hidden, so that it may go to the
// back/forward cache.

import { all } from "./sync.js";

const TYPES = [
  "account.connected", "account.reconnected", "account.updated", "account.health_changed", "account.token_refreshed",
  "account.refresh_attempt_failed", "account.reconnect_required", "account.expired", "account.expiring_soon",
  "account.disconnected", "check.started", "check.completed", "connect_session.updated", "entitlements.changed",
  "platform.status_changed", "notification.created", "sync.required", "stream.closed",
];
/** So many events are told again to a tab that comes later. */
const KEPT = 200;
const SYNC = { type: "sync.required", id: null };

class Events extends HTMLElement {
  connectedCallback() {
    const [visit] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
    // What came back out of a history may be old, and its messages were seen.
    this.begin(visit?.type === "back_forward" || !this.dataset.after ? null : Number(this.dataset.after));
    this.start();
    addEventListener("pagehide", () => this.stop());
    addEventListener("pageshow", (event) => {
      if (!event.persisted) return;
      this.begin(null);
      this.start();
      all();
    });
  }

  /** @param {number | null} last the last event that this page knows; `null` = it cannot say */
  begin(last) {
    this.last = last;
    /** What this page heard after `from`, in order. @type {any[]} */
    this.heard = [];
    this.from = last ?? Infinity;
  }

  start() {
    const name = `sz-events:${this.dataset.workspace}`;
    this.channel = new BroadcastChannel(name);
    this.channel.onmessage = (message) => this.hear(message.data);
    this.channel.postMessage({ since: this.last });
    this.ended = new AbortController();
    if (!navigator.locks) return this.lead();
    navigator.locks.request(name, { signal: this.ended.signal }, () => this.lead()).catch(() => {});
  }

  stop() {
    this.ended?.abort();
    this.source?.close();
    this.source = undefined;
    this.release?.();
    this.channel?.close();
  }

  /** Reads the stream until this page goes away. */
  lead() {
    if (this.ended?.signal.aborted) return;
    const after = this.last === null ? "" : `?after=${this.last}`;
    const source = new EventSource(`/api/v1/workspaces/${this.dataset.workspace}/events${after}`);
    this.source = source;
    this.channel?.postMessage({ leads: true });
    let opened = 0;
    source.onopen = () => {
      document.dispatchEvent(new CustomEvent("sz:online"));
      // Where the page could not say from where, what happened between it and the stream; a gap is told by `sync.required`.
      if (opened++ === 0 && after === "") this.tell(SYNC);
    };
    source.onerror = () => document.dispatchEvent(new CustomEvent("sz:offline"));
    for (const type of TYPES) {
      source.addEventListener(type, (event) => this.tell(JSON.parse(/** @type {MessageEvent} */ (event).data)));
    }
    return new Promise((resolve) => (this.release = () => resolve(undefined)));
  }

  /** From another tab: an event; that it reads for all now; since when a tab knows nothing; from where the reader can tell. @param {any} message */
  hear(message) {
    if (message.type) return this.deliver(message);
    if (message.leads) return this.channel?.postMessage({ since: this.last });
    if (message.from !== undefined) {
      if (this.last !== null && this.last >= message.from) return;
      if (message.from !== Infinity) this.begin(message.from);
      return this.deliver(SYNC);
    }
    if (!this.source) return;
    if (message.since === null || message.since < this.from) return this.channel?.postMessage({ from: this.last ?? Infinity });
    for (const event of this.heard) if (event.id > message.since) this.channel?.postMessage(event);
  }

  /** @param {any} event */
  tell(event) {
    this.channel?.postMessage(event);
    this.deliver(event);
  }

  /** @param {any} event */
  deliver(event) {
    if (event.type === SYNC.type) {
      // Its number is where to go on, whatever was before.
      if (event.id !== null) this.begin(event.id);
    } else if (event.id !== null) {
      if (this.last !== null && event.id <= this.last) return;
      this.last = event.id;
      if (this.from === Infinity) this.from = event.id - 1;
      this.heard?.push(event);
      if (this.heard && this.heard.length > KEPT) this.from = this.heard.shift().id;
    }
    // Signed out, or somebody else in here now: what is shown is not theirs any more.
    if (event.type === "stream.closed" && event.data.reason !== "unavailable") return location.reload();
    document.dispatchEvent(new CustomEvent("sz:event", { detail: event }));
  }
}

customElements.define("sz-events", Events);
