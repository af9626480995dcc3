// @ts-check
// Small helpers: reading our own pages and fragments, making elements, remembering focus.

/** Where the glyphs are; next to this file. */
const SPRITE = new URL("icons.svg", import.meta.url).pathname;

/** The server answered, but not with what was asked for. */
export class Refused extends Error {
  /** @param {Response} response @param {any} [problem] */
  constructor(response, problem) {
    super(`status ${response.status}`);
    this.status = response.status;
    this.problem = problem;
    this.requestId = response.headers.get("x-request-id") || "";
  }
}

/**
 * Reads a page of ours, or a fragment of one.
 * @param {string} url
 * @param {RequestInit} [init]
 * @returns {Promise<Document>}
 */
export async function read(url, init) {
  const response = await fetch(url, { ...init, headers: { Accept: "text/html", ...(init?.headers || {}) } });
  if (response.status === 401) location.reload();
  if (!response.ok) throw new Refused(response);
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

/**
 * Calls the API.
 * @param {string} method
 * @param {string} path after /api/v1
 * @param {object} [body]
 */
export async function api(method, path, body) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (body) headers["Content-Type"] = "application/json";
  if (method === "POST") headers["Idempotency-Key"] = key();
  const response = await fetch(`/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  const answer = text ? JSON.parse(text) : null;
  if (!response.ok) throw new Refused(response, answer);
  return answer;
}

function key() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== false) made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children);
  return made;
}

/** @param {string} name */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `${SPRITE}#${name}`);
  svg.append(use);
  return svg;
}

/** Moves a node without losing its focus, where the browser can. @param {any} parent @param {Node} node @param {Node | null} before */
export function move(parent, node, before) {
  if (parent.moveBefore && node.isConnected && parent.isConnected) parent.moveBefore(node, before);
  else parent.insertBefore(node, before);
}

/** Says something to screen readers once. @param {string} text */
export function say(text) {
  const region = document.querySelector("[data-said]");
  if (region) region.textContent = text;
}
