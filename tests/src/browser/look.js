// What a person sees of the page, for the functions of tab.rs and hands.rs; put in front of what they evaluate.
const seen = (one) => {
  if (!one.checkVisibility({ visibilityProperty: true })) return false;
  const box = one.getBoundingClientRect();
  return box.width > 0 && box.height > 0;
};
/** What it says, with a blank where elements meet. */
const words = (one) => {
  const walker = document.createTreeWalker(one, NodeFilter.SHOW_TEXT);
  const parts = [];
  while (walker.nextNode()) parts.push(walker.currentNode.nodeValue);
  return parts.join(" ").replace(/\s+/g, " ").trim();
};
const named = (one) => [words(one), one.getAttribute("aria-label"), one.getAttribute("value")].filter(Boolean).join(" ");
/** Visible elements of a selector, in order, that hold a text. */
const find = (css, text) => [...document.querySelectorAll(css)].filter((one) => seen(one) && (!text || named(one).includes(text)));
const short = (one) => one ? `<${one.tagName.toLowerCase()}${one.id ? `#${one.id}` : ""}.${one.className?.baseVal ?? one.className}>` : "nothing";
/** Where a finger would meet the first such element; says so when something else lies there. */
const point = (css, text) => {
  // Nobody is faster than the page's scripts.
  if (document.readyState !== "complete") return { wrong: "still loading" };
  const one = find(css, text)[0];
  if (!one) return { wrong: "not there" };
  const middle = () => {
    const box = one.getClientRects()[0];
    return [box.left + box.width / 2, box.top + box.height / 2];
  };
  let [x, y] = middle();
  const meets = () => {
    const hit = document.elementFromPoint(x, y);
    return hit && (one.contains(hit) || hit.contains(one) && hit.closest("label, summary, a, button"));
  };
  if (!meets()) {
    one.scrollIntoView({ block: "center", inline: "nearest", behavior: "instant" });
    [x, y] = middle();
  }
  // What still slides into its place is not there yet.
  const slides = (run) => run.playState === "running" && run.effect?.target?.contains(one);
  if (document.getAnimations().some(slides)) return { wrong: "moving" };
  return meets() ? { x, y } : { wrong: `covered by ${short(document.elementFromPoint(x, y))}` };
};
