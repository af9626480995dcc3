// @ts-check
// Keeps the page true: single cards when an account changes, everything that is `data-live` shortly after.
// Cards change in place at once; they change their group when nobody works in the list.

import { read, say } from "./dom.js";
import { morph } from "./morph.js";
import { failed, well } from "./trouble.js";

const SETTLE_MS = 3000;
let settling = 0;
/** @type {Set<string>} */
const changed = new Set();
let turn = 0;
let soon = 0;
let later = 0;
/** When the server last told how things are. */
export let syncedAt = Date.now();

/** This page's address without what only told of a moment ago. */
function here() {
  const url = new URL(location.href);
  for (const name of ["session", "did", "disconnected", "published", "account", "posts"]) url.searchParams.delete(name);
  return url.pathname + url.search;
}

/** Reads the page anew and takes over what is live. */
export async function all() {
  if (!document.querySelector("[data-live]")) return;
  try {
    await take(here());
    well("list");
  } catch (error) {
    failed("list", error, all);
  }
}

/** Reads a page and takes over what is live, unless another one was asked for or came meanwhile. @param {string} url @param {{regroup?: boolean}} [options] */
export async function take(url, options) {
  const mine = ++turn;
  const fresh = await read(url);
  if (mine === turn) apply(fresh, options);
}

/** @param {Document} fresh @param {{notes?: boolean, regroup?: boolean}} [options] */
export function apply(fresh, options) {
  turn += 1;
  syncedAt = Date.now();
  document.dispatchEvent(new CustomEvent("sz:synced"));
  const list = document.getElementById("accounts");
  const stays = !options?.regroup && list?.contains(document.activeElement) && regroups(fresh);
  for (const region of document.querySelectorAll("[data-live]")) {
    if (stays && region.contains(list)) cardsInPlace(fresh);
    else morph(region, fresh.getElementById(region.id));
  }
  if (stays) settle();
  for (const name of ["attention", "unread"]) {
    const badge = fresh.querySelector(`[data-badge=${name}]`);
    for (const old of document.querySelectorAll(`[data-badge=${name}]`)) morph(old, badge);
  }
  if (options?.notes) morph(document.getElementById("notes"), fresh.getElementById("notes"));
}

/** Whether cards that stay would change places. @param {Document} fresh */
function regroups(fresh) {
  const places = (/** @type {Document} */ one, /** @type {Document} */ other) => [...one.querySelectorAll("#accounts [data-group]")]
    .filter((card) => other.getElementById(card.id))
    .map((card) => `${card.parentElement?.id} ${card.id}`).join();
  return places(document, fresh) !== places(fresh, document);
}

/** @param {Document} fresh */
function cardsInPlace(fresh) {
  for (const card of document.querySelectorAll("#accounts [data-group]")) morph(card, fresh.getElementById(card.id));
}

/** Moves cards to their groups a little later: when focus is elsewhere, or with the focus when its own card moves. */
function settle() {
  clearTimeout(settling);
  settling = setTimeout(async () => {
    const list = document.getElementById("accounts");
    const card = document.activeElement?.closest("#accounts [data-group]");
    const moves = card instanceof HTMLElement && card.parentElement?.id !== `cards-${card.dataset.group}`;
    if (!moves && list?.contains(document.activeElement)) return list.addEventListener("focusout", settle, { once: true });
    await take(here(), { regroup: true }).catch(() => {});
  }, SETTLE_MS);
}

/** @param {string} id */
async function card(id) {
  const old = document.getElementById(`card-${id}`);
  if (!old) return all();
  const fresh = (await read(`/ui/accounts/${id}/card`)).getElementById(old.id);
  if (!fresh) return;
  const healed = old.dataset.group === "amber" && fresh.dataset.group === "green";
  morph(old, fresh);
  old.querySelector(".card")?.classList.toggle("fixed", healed);
}

/** Several at once are told as a number; single ones have their toast. @param {number} count */
function announce(count) {
  const texts = document.querySelector("sz-toasts")?.getAttribute("data-updated")?.split("|") || [];
  const text = texts[Math.min(count, texts.length + 1) - 2];
  if (text) say(text);
}

/** Something changed: cards at once, the rest when changes pause. @param {string} [id] */
export function touch(id) {
  if (id) changed.add(id);
  clearTimeout(soon);
  soon = setTimeout(() => {
    const ids = [...changed];
    changed.clear();
    announce(ids.length);
    // A card that cannot be had is gone: the whole list tells.
    if (ids.length <= 3) ids.forEach((one) => card(one).catch(all));
  }, 30);
  clearTimeout(later);
  // A healed card shows for a moment that it is well before it moves.
  later = setTimeout(all, document.querySelector(".card.fixed") ? SETTLE_MS : 400);
}

/** @param {boolean} on */
export function checking(on) {
  for (const card of document.querySelectorAll(".card[data-account]")) card.toggleAttribute("data-checking", on);
}

document.addEventListener("sz:event", (event) => {
  const { type, account_id: id, account } = /** @type {CustomEvent} */ (event).detail;
  if (type === "check.started") checking(true);
  if (type === "check.completed") checking(false);
  // A card that is gone cannot be had: the list tells.
  const has = type.startsWith("account.") && account?.status === "connected";
  if (type !== "connect_session.updated") touch(has ? id : undefined);
});
