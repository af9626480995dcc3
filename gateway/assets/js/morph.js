// @ts-check
// Makes a part of the page equal to what the server sent, touching only what differs: focus, scroll and open menus stay.
// Elements with an id are recognised wherever they moved to. `data-keep` marks what the script made or filled by itself.

import { move } from "./dom.js";

/** Attributes that are the browser's or a script's to set. */
const KEPT = new Set(["open", "data-checking", "data-keep", "aria-disabled", "aria-busy"]);

/** @param {Element | null} from @param {Element | null} to */
export function morph(from, to) {
  if (!from || !to || from.isEqualNode(to)) return;
  const focused = document.activeElement;
  const pantry = document.createElement("div");
  pantry.hidden = true;
  document.body.append(pantry);
  const wanted = new Set([...to.querySelectorAll("[id]")].map((one) => one.id));
  update(from, to, { pantry, wanted });
  pantry.remove();
  if (focused instanceof HTMLElement && focused.isConnected && document.activeElement !== focused) {
    focused.focus({ preventScroll: true });
  }
}

/** @typedef {{pantry: HTMLElement, wanted: Set<string>}} Move */

/** @param {Element} from @param {Element} to @param {Move} state */
function update(from, to, state) {
  if (from.hasAttribute("data-keep") || from.isEqualNode(to)) return;
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  for (const name of from.getAttributeNames()) {
    if (!to.hasAttribute(name) && !KEPT.has(name)) from.removeAttribute(name);
  }
  children(from, to, state);
}

/** @param {Element} from @param {Element} to @param {Move} state */
function children(from, to, state) {
  let cursor = skip(from.firstChild);
  for (const node of [...to.childNodes]) {
    const match = find(node, cursor);
    if (!match) {
      // First itself, then what it holds: that may be here already, in another place.
      const made = document.importNode(node, false);
      from.insertBefore(made, cursor);
      if (made instanceof Element) children(made, /** @type {Element} */ (node), state);
      continue;
    }
    if (match === cursor) cursor = skip(cursor.nextSibling);
    else move(from, match, cursor);
    if (match instanceof Element && node instanceof Element) update(match, node, state);
    else if (match.nodeValue !== node.nodeValue) match.nodeValue = node.nodeValue;
  }
  while (cursor) {
    const next = skip(cursor.nextSibling);
    if (cursor instanceof Element && cursor.id && state.wanted.has(cursor.id)) move(state.pantry, cursor, null);
    else cursor.remove();
    cursor = next;
  }
}

/** What stands for `node` now. @param {Node} node @param {any} cursor @returns {any} */
function find(node, cursor) {
  if (node instanceof Element && node.id) return document.getElementById(node.id);
  const same = cursor && cursor.nodeType === node.nodeType && cursor.nodeName === node.nodeName && !cursor.id;
  return same ? cursor : null;
}

/** Past what is not the server's. @param {any} node @returns {any} */
function skip(node) {
  while (node instanceof Element && node.hasAttribute("data-added")) node = node.nextSibling;
  return node;
}
